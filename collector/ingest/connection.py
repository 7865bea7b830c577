"""One HTTP connection: uvicorn's, with a deadline for all that its client may be slow at, and bounds on what it holds.

One sweep a second looks at all connections; nothing is timed by request.
"""

import asyncio
import math
from collections import deque
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from collector.config import Limits
from collector.errors import BadRequest, HeadersTooLarge, Overloaded, Rejected, SlowHeaders
from collector.ingest.answer import refusal_answer
from collector.ingest.target import Face
from collector.problems import status_of

IS_LATE: Final = "tracklog.is_late"
"""Stands in the scope of a request whose body did not arrive in time."""
STATE: Final = "tracklog.connections"
"""Where the lifespan's state holds the `Connections`."""
_SWEEP_SECONDS: Final = 1.0
_HEADER_BYTES: Final = 32 << 10
"""What all headers together may have beside the URL."""
_DROPPED: Final[Any] = deque(maxlen=0)


class Connections:
    """All connections of a worker. Create it inside the event loop."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.open: set[Connection] = set()
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(_SWEEP_SECONDS, self._sweep)

    def close(self) -> None:
        """End the sweep."""
        self._timer.cancel()

    def _sweep(self) -> None:
        self._timer = self._loop.call_later(_SWEEP_SECONDS, self._sweep)
        now = self._loop.time()
        for connection in [each for each in self.open if each.deadline < now]:
            connection.expire()


class Connection(HttpToolsProtocol):
    """A connection whose `deadline` is when the headers, the body or the reading of answers must be done."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._all: Connections = self.app_state[STATE]
        self._limits = self._all.limits
        self._head_bytes = 0
        self._is_in_head = True
        self.deadline = math.inf

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.deadline = self.loop.time() + self._limits.header_seconds
        if len(self._all.open) < self._limits.connections:
            self._all.open.add(self)
        else:
            self._refuse(Overloaded("too many connections"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.open.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.parser is None or self.transport.is_closing():
            return
        if self.deadline == math.inf:
            self._begin()
        super().data_received(data)
        if self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.url_bytes + _HEADER_BYTES and not self.transport.is_closing():
                self._refuse(HeadersTooLarge("the headers are over their limit"))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begin()

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self.headers = _DROPPED  # trailers of a chunked body are nothing that a request may be told by
        self._is_in_head = False
        self.deadline = self.loop.time() + self._limits.body_seconds

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self.deadline = math.inf

    def pause_writing(self) -> None:
        super().pause_writing()
        self.deadline = self.loop.time() + self._limits.body_seconds

    def resume_writing(self) -> None:
        super().resume_writing()
        self.deadline = math.inf

    def expire(self) -> None:
        """Answer, and close, a connection that is late."""
        self.deadline = math.inf
        cycle = self.cycle
        if self._is_in_head:
            self._refuse(SlowHeaders("the headers did not arrive in time"))
        elif cycle is None or cycle.response_started or self.flow.write_paused:
            self.transport.abort()
        else:  # the application waits for the body: it answers
            cycle.keep_alive = False
            cycle.scope[IS_LATE] = True  # type: ignore[typeddict-unknown-key]
            cycle.message_event.set()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - ours names no parser
        """Answer what is no HTTP."""
        self._refuse(BadRequest("this is no HTTP request that can be read"))

    def _begin(self) -> None:
        """A request begins: its head is to be whole in time, and within its bytes."""
        self._is_in_head = True
        self._head_bytes = 0
        self.deadline = self.loop.time() + self._limits.header_seconds

    def _refuse(self, error: Rejected | Overloaded) -> None:
        """Answer where no request has come as far as the application, and close."""
        if self.cycle is None or self.cycle.response_complete:
            status, headers, body = refusal_answer(status_of(error), Face.JSON, error)
            all_headers = [*headers, (b"content-length", b"%d" % len(body)), (b"connection", b"close")]
            lines = [b"HTTP/1.1 %d %b" % (status, HTTPStatus(status).phrase.encode())]
            lines += [b"%b: %b" % header for header in all_headers]
            self.transport.write(b"\r\n".join([*lines, b"", body]))
        self.transport.close()
