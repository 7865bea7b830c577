"""Bytes of a connection that wait to be parsed: more than a piece, or sent before the responses to earlier requests."""

from typing import Final

from collector.http.in_flight import InFlight

PIECE_BYTES: Final = 4096
"""Bytes to parse at a time. Most requests are smaller, and arrive alone."""
_BODY_PIECE_BYTES: Final = 64 << 10
"""The same for a body of known length, in which no request begins."""
_HEAD_END: Final = b"\r\n\r\n"
_MOST_DIGITS: Final = 10
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

    def take(self, body_bytes: int | None) -> memoryview:
        """The next piece. `body_bytes`: how much of the current body has not been parsed; None: a request begins."""
        expected = _request_bytes(self._data[:PIECE_BYTES].tobytes()) if body_bytes is None else body_bytes
        length = max(PIECE_BYTES, min(expected, _BODY_PIECE_BYTES))
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


def _request_bytes(start: bytes) -> int:
    """Bytes of the request that begins here; 0 if unknown. A hint for the size of a piece: the parser alone decides.

    With it a long body is one part, parsed together with its head: 3 us less for a POST of 16 KiB.
    """
    end = start.find(_HEAD_END)
    length = start[: max(end, 0)].lower().partition(b"\ncontent-length:")[2].partition(b"\r")[0].strip()
    return end + len(_HEAD_END) + int(length) if length.isdigit() and len(length) < _MOST_DIGITS else 0
