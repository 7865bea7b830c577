"""A connection to the admin address: uvicorn's, with the limits that it lacks.

uvicorn waits as long as the client likes: for a request, for its end, and for the client to read. Probes must get in
all the same.
"""

import asyncio
import socket
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_CONNECTIONS: Final = 100
"""A page of an operator, a scraper and probes need few. At the limit an older connection makes room."""
STALL_SECONDS: Final = 20.0
"""A client that reads nothing for so long loses its connection."""
_REQUEST_BYTES: Final = 512 << 10
"""Twice the longest body that an endpoint reads. uvicorn holds 64 KiB that no endpoint reads, and then waits."""
_MOST_HEADERS: Final = 128
"""Short headers take thirty times their bytes in memory."""
_SEND_BUFFER_BYTES: Final = 64 << 10
"""In the kernel. By default it grows to megabytes, so that it would take minutes to see that a client reads nothing."""


class AdminConnection(HttpToolsProtocol):
    """An admin connection. It is aborted if a request is over _REQUEST_BYTES, or if the client reads nothing."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._opened_at = asyncio.get_running_loop().time()
        self._received_bytes = 0
        self._stalled: asyncio.TimerHandle | None = None
        if (own := transport.get_extra_info("socket")) is not None:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        if len(self.connections) > MOST_CONNECTIONS:
            oldest = min(self.connections - {self}, key=_by_use)
            self.connections.discard(oldest)
            oldest.transport.abort()

    def data_received(self, data: bytes) -> None:
        self._received_bytes += len(data)
        if self._received_bytes > _REQUEST_BYTES:
            self.transport.abort()
        else:
            super().data_received(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) < _MOST_HEADERS:
            super().on_header(name, value)
        else:
            self.transport.abort()

    def on_headers_complete(self) -> None:
        if not self.transport.is_closing():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self.transport.is_closing():
            super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self.pipeline.clear()  # else uvicorn runs the next request of a connection that is gone
        super().connection_lost(exc)
        self._end_stall()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._end_stall()

    def on_response_complete(self) -> None:
        self._received_bytes = 0
        super().on_response_complete()

    def _end_stall(self) -> None:
        if self._stalled:
            self._stalled.cancel()
            self._stalled = None

    @property
    def _is_waiting(self) -> bool:
        """Whether a whole request of this connection waits for its response, and the client reads."""
        cycle = self.cycle
        return cycle is not None and not (cycle.response_complete or cycle.more_body or self._stalled)


def _by_use(connection: Any) -> tuple[bool, float]:
    """The order in which connections make room: those without a request first, and of these the oldest."""
    return connection._is_waiting, connection._opened_at
