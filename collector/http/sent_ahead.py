"""Bytes of a connection that wait to be parsed: more than a piece, or sent before earlier requests are answered."""

from typing import Final

from collector.http.in_flight import InFlight

PIECE_BYTES: Final = 4096
"""So much is parsed at a time. Most requests are smaller, and arrive alone."""
_BODY_PIECE_BYTES: Final = 64 << 10
"""Of a body whose length is known: no request begins in it."""
_NOTHING: Final = memoryview(b"")


class SentAhead:
    """Bytes in the order in which they arrived, counted as in flight."""

    def __init__(self, in_flight: InFlight) -> None:
        self._in_flight = in_flight
        self._data = _NOTHING

    def __bool__(self) -> bool:
        return bool(self._data)

    def add(self, data: bytes) -> bool:
        """Hold bytes; False, and they are dropped, where too many are in flight."""
        if not self._in_flight.reserve(len(data)):
            return False
        self._data = memoryview(bytes(self._data) + data if self._data else data)
        return True

    def take(self, body_bytes: int) -> memoryview:
        """The next piece, given how many bytes of a body are still to come."""
        length = max(PIECE_BYTES, min(body_bytes, _BODY_PIECE_BYTES))
        piece, rest = self._data[:length], self._data[length:]
        if 4 * len(rest) < memoryview(rest.obj).nbytes:  # a view keeps all that it is a view of
            rest = memoryview(bytes(rest))
        self._data = rest
        self._in_flight.release(len(piece))
        return piece

    def drop(self) -> None:
        """Hold nothing."""
        self._in_flight.release(len(self._data))
        self._data = _NOTHING
