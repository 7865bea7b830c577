"""Bytes of a connection that wait to be parsed: more than a piece, or sent before the responses to earlier requests."""

from typing import Final

from collector.http.in_flight import InFlight

PIECE_BYTES: Final = 4096
"""Bytes to parse at a time. Most requests are smaller, and arrive alone."""
_BODY_PIECE_BYTES: Final = 64 << 10
"""The same for a body of known length, in which no request begins."""
_NOTHING: Final = memoryview(b"")


class SentAhead:
    """Bytes in order of arrival, counted as in flight."""

    def __init__(self, in_flight: InFlight) -> None:
        self._in_flight = in_flight
        self._data = _NOTHING

    def __bool__(self) -> bool:
        return bool(self._data)

    def add(self, data: bytes) -> bool:
        """Hold bytes. If too many are in flight, drop them and return False."""
        if not self._in_flight.reserve(len(data)):
            return False
        self._data = memoryview(bytes(self._data) + data if self._data else data)
        return True

    def take(self, body_bytes: int) -> memoryview:
        """The next piece. `body_bytes`: how many bytes of the current body have not been parsed."""
        length = max(PIECE_BYTES, min(body_bytes, _BODY_PIECE_BYTES))
        piece, rest = self._data[:length], self._data[length:]
        if 4 * len(rest) < memoryview(rest.obj).nbytes:  # a view keeps all that it is a view of
            rest = memoryview(bytes(rest))
        self._data = rest
        self._in_flight.release(len(piece))
        return piece

    def drop(self) -> None:
        """Drop all bytes."""
        self._in_flight.release(len(self._data))
        self._data = _NOTHING
