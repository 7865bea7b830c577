"""A connection to the admin address: one as the workers have, whose last response may be a stream.

    READING --a response in parts--> DRAINING, while the stream goes on --its end, or the client's--> closed

Probes must get in, however many clients send slowly, read nothing or stay: at the limit another connection makes room.
"""

import asyncio
import math
import socket
from typing import Any, Final, cast

from starlette.types import ASGIApp

from collector.http.application import Application
from collector.http.connection import Connection
from collector.http.connections import STATE, Connections
from collector.http.in_flight import InFlight
from collector.http.meter import Meter
from collector.http.response import Response
from collector.http.routes import Routes
from collector.http.stream import Stream
from collector.ops.counters import CounterBlock
from collector.ops.notices import Notices
from collector.settings import Limits

MOST_CONNECTIONS: Final = 100
"""A page of an operator, a scraper and probes need few."""
STALL_SECONDS: Final = 20.0
"""A client that takes so long to send a request, or reads nothing for so long, loses its connection."""
_LIMITS: Final = Limits(
    url_bytes=64 << 10,
    header_seconds=STALL_SECONDS,
    body_seconds=STALL_SECONDS,
    connections=MOST_CONNECTIONS,
    connections_per_address=MOST_CONNECTIONS,
    in_flight_bytes=16 << 20,
)
_BODY_BYTES: Final = 512 << 10
"""Twice the longest body that an endpoint takes: below, the endpoint says what is too long."""
_SEND_BUFFER_BYTES: Final = 64 << 10
"""In the kernel. By default it grows to megabytes, so that it would take minutes to see that a client reads nothing."""


class AdminConnection(Connection):
    """A connection to the admin address."""

    opened_at = 0.0
    _stream: Stream | None = None

    def __init__(self, connections: "AdminConnections", server_state: Any, **_: Any) -> None:
        """`server_state` is uvicorn's, as for `Connection`."""
        super().__init__(server_state, {STATE: connections})

    @property
    def is_waiting(self) -> bool:
        """Whether a whole request waits for its response or has a stream, and the client reads."""
        is_served = self._is_busy or self._stream is not None
        return is_served and not (self.deadline.is_write_paused or self.transport.is_closing())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.opened_at = asyncio.get_running_loop().time()
        if (own := transport.get_extra_info("socket")) is not None:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._is_busy and self._exchanges:
            self._exchanges[0].request.end()
        super().connection_lost(exc)
        if self._stream:
            self._stream.leave()

    def eof_received(self) -> bool:
        """Respond to a request that is taken, within STALL_SECONDS, and close. A stream ends: its client has left."""
        super().eof_received()
        if self._stream:
            self._stream.leave()
        self._is_stopping = True
        return self._is_busy and not self.transport.is_closing()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stream:
            self._stream.pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stream:
            self.deadline.is_write_paused = False
            self.deadline.at = math.inf
            self._stream.resume()

    def shutdown(self) -> None:
        """Close after the responses to all requests that were sent; a stream says its last word."""
        super().shutdown()
        self.end_stream()

    def end_stream(self) -> None:
        """Let the application say its last word, if there is a stream."""
        if self._stream:
            self._stream.stop()

    def finish(self, outcome: Response | Stream | BaseException) -> None:
        """Respond to the request that was taken."""
        if not isinstance(outcome, Stream):
            super().finish(outcome)
        elif self._exchanges and not (self._is_stopping or self.transport.is_closing()):
            self._begin(outcome)
        else:
            outcome.leave()
            self.transport.close()

    def _begin(self, stream: Stream) -> None:
        """Send a stream until it ends. Input is dropped from now on."""
        self._stream = stream
        self._is_busy = False
        self._pipeline.leave()
        self._ahead.drop()
        self._is_draining = True
        self._resume_or_pause()
        self.deadline.at = math.inf
        stream.begin(self.transport, self.deadline)


class AdminConnections(Connections):
    """All connections of the admin process. Create it inside the event loop."""

    def __init__(self, app: ASGIApp, address: tuple[str, int]) -> None:
        """`address` is the server's own. What is shed is not logged, which would tell of events: clients are told."""
        self.app = app
        routes = Routes({}, Application(app, address, _BODY_BYTES))
        super().__init__(
            _LIMITS,
            routes,
            in_flight=InFlight(_LIMITS.in_flight_bytes),
            notices=Notices(),
            meter=Meter(CounterBlock.create(), routes),
        )

    def end_streams(self) -> None:
        """Let each stream say its last word."""
        for connection in self._open:
            cast(AdminConnection, connection).end_stream()

    def make_room(self, idle: object) -> bool:  # noqa: ARG002
        """Abort the oldest connection without a whole request, or else the oldest one."""
        oldest = min(self._open, key=_by_use)
        oldest.transport.abort()
        self.discard(oldest)
        return True


def _by_use(connection: Any) -> tuple[bool, float]:
    """The order in which connections make room: those without a whole request first, and of these the oldest."""
    return connection.is_waiting, connection.opened_at
