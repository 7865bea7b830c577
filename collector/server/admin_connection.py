"""A connection to the admin address: uvicorn's, with the limits that it lacks.

uvicorn waits for a request, and for its end, as long as the client likes. Probes must get in all the same.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_CONNECTIONS: Final = 100
"""A page of an operator, a scraper and probes need few. At the limit the oldest connection makes room."""
_REQUEST_BYTES: Final = 512 << 10
"""Twice the longest body that an endpoint reads. uvicorn holds 64 KiB that no endpoint reads, and then waits."""


class AdminConnection(HttpToolsProtocol):
    """One of at most MOST_CONNECTIONS, which sends at most _REQUEST_BYTES until its response is complete."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._opened_at = asyncio.get_running_loop().time()
        self._received_bytes = 0
        if len(self.connections) > MOST_CONNECTIONS:
            oldest = min(self.connections, key=_by_use)
            self.connections.discard(oldest)
            oldest.transport.abort()

    def data_received(self, data: bytes) -> None:
        self._received_bytes += len(data)
        if self._received_bytes > _REQUEST_BYTES:
            self.transport.abort()
        else:
            super().data_received(data)

    def on_response_complete(self) -> None:
        self._received_bytes = 0
        super().on_response_complete()

    @property
    def _is_waiting(self) -> bool:
        """Whether a request of this connection waits for its response."""
        return self.cycle is not None and not self.cycle.response_complete


def _by_use(connection: Any) -> tuple[bool, float]:
    """The order in which connections make room: those without a request first, and of these the oldest."""
    return connection._is_waiting, connection._opened_at
