"""The lines of several logs, newest first, from where the last call left off.

A log is read backwards in windows: the headers in a window lead to its blocks. Among logs the time of the blocks
decides. Where reading goes on is a sequence for each log, so that a place is exact whatever the clocks did.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from collector.ops.console.refusals import refused
from wal.examine import headers_from
from wal.folder import LogFolder
from wal.format import HEADER_BYTES, MAX_BLOCK_BYTES, Header, payload_fault
from wal.seek import place_before, place_before_time
from wal.segment import SegmentReader

_WINDOW_BYTES: Final = 256 << 10
_Places = dict[str, Annotated[int, Meta(ge=0, le=sys.maxsize)]]
LONGEST_PLACES: Final = 8192
"""Characters of a query that tells where to go on: enough for the logs of 256 workers."""


class LogLine(NamedTuple):
    """A line, without its LF; `path` is the file of its segment, and `start` its first byte there."""

    source: str
    path: str
    header: Header
    sequence: int
    start: int
    line: bytes


class NewestLines:
    """Reads the logs that `sources` has by name. Stop the iteration at any line: it counts as read."""

    def __init__(self, sources: Mapping[str, LogFolder], places: str | None, before_ms: int | None) -> None:
        """Go on at `places`, or begin before a time, or at the end of the logs.

        Raises Rejected for places that were never given out, WalError, OSError.
        """
        known = _decoded(places) if places else None
        self.back_to_ms: int | None = None
        """The time of the oldest block that was read."""
        self._sources = {
            name: _Backwards(folder, _start_of(folder, known.get(name, 0) if known is not None else None, before_ms))
            for name, folder in sources.items()
        }

    @property
    def left_bytes(self) -> int:
        """The length of the part of all logs that was not read yet. Raises OSError."""
        return sum(each.left_bytes for each in self._sources.values())

    @property
    def places(self) -> str | None:
        """Where to go on; None if all was read."""
        left = {name: each.before for name, each in self._sources.items() if each.peek()}
        return msgspec.json.encode(left).decode() if left else None

    def __iter__(self) -> Iterator[LogLine | None]:
        """Each line, and None for a block that is damaged: a caller's time may end there, too."""
        while heads := [(head.timestamp_ms, name) for name, each in self._sources.items() if (head := each.peek())]:
            self.back_to_ms, name = max(heads)
            yield from self._sources[name].lines(name)

    def close(self) -> None:
        """Close the open segments."""
        for each in self._sources.values():
            each.close()


class _Backwards:
    """One log from the event before sequence `before` back to its beginning."""

    def __init__(self, folder: LogFolder, before: int) -> None:
        self.before = before
        self._folder = folder
        self._names = [name for name in folder.segments() if name.sequence < before]
        self._segment: SegmentReader | None = None
        self._headers: list[Header] = []
        """The blocks of the window that are left, oldest first."""
        self._data, self._data_start = b"", 0
        self._end = 0
        """Where the window begins: the blocks before it are left in the segment."""
        if before < sys.maxsize and self._names:
            self._seek()

    @property
    def left_bytes(self) -> int:
        """The length of the part that was not read yet: up to the end of the newest block there. Raises OSError."""
        newest = self.peek()
        left = newest.end if newest else 0
        for name in self._names:
            with suppress(FileNotFoundError):  # retention has deleted it meanwhile
                left += os.path.getsize(self._folder.segment_file(name))
        return left

    def peek(self) -> Header | None:
        """The header of the newest block that is left."""
        while not self._headers and self._fill():
            pass
        return self._headers[-1] if self._headers else None

    def lines(self, source: str) -> Iterator[LogLine | None]:
        """The lines that are left of the newest block, newest first; None if the block is damaged."""
        header, segment = self._headers[-1], self._segment
        assert segment  # noqa: S101  `peek` has opened it
        payload = self._payload(header)
        lines = payload.split(b"\n")[:-1] if payload_fault(header, payload) is None else []
        start = header.offset + HEADER_BYTES + len(payload)
        for at in range(len(lines) - 1, -1, -1):
            start -= len(lines[at]) + 1
            sequence = header.sequence + at
            if sequence < self.before:
                self.before = sequence
                if at == 0:
                    self._headers.pop()
                yield LogLine(source, segment.path, header, sequence, start, lines[at])
        if not lines:
            self.before = header.sequence
            self._headers.pop()
            yield None

    def close(self) -> None:
        """Close the open segment."""
        if self._segment:
            self._segment.close()
            self._segment = None

    def _seek(self) -> None:
        """Take the window from shortly before the place to go on, up to there."""
        place = place_before(self._folder, self.before - 1)
        while place and self._open_previous() and self._segment:
            if self._segment.name.number == place.segment:
                self._end = self._take(place.offset, self._segment.size())
                return

    def _fill(self) -> bool:
        """Take the next window back; False at the beginning of the log."""
        span = _WINDOW_BYTES
        while self._end <= HEADER_BYTES:
            if not self._open_previous():
                return False
        while not self._headers and self._end > HEADER_BYTES:
            start = max(HEADER_BYTES, self._end - span)
            first = self._take(start, self._end)
            if first < self._end or start == HEADER_BYTES:
                self._end = first if start > HEADER_BYTES else HEADER_BYTES
            elif span > MAX_BLOCK_BYTES:
                self._end = start  # no block is as long: these bytes are damaged
            else:
                span *= 2  # a block is longer than the window
        return True

    def _take(self, start: int, end: int) -> int:
        """Read the bytes of the open segment from `start` to `end`. Returns where its first block begins, or `end`."""
        segment, first = self._segment, end
        assert segment  # noqa: S101
        self._data, self._data_start = segment.raw(start, end - start), start
        for at, header in headers_from(segment, start, _WINDOW_BYTES):
            if at >= end or header.sequence >= self.before:
                break
            if at == header.offset:
                first = min(first, at)
                if header.records:
                    self._headers.append(header)
        return first

    def _payload(self, header: Header) -> bytes:
        start = header.offset + HEADER_BYTES - self._data_start
        if start + header.length <= len(self._data) or self._segment is None:
            return self._data[start : start + header.length]
        return self._segment.raw(header.offset + HEADER_BYTES, min(header.length, MAX_BLOCK_BYTES))

    def _open_previous(self) -> bool:
        """Open the newest segment that was not read yet; False if there is none."""
        self.close()
        self._end = 0
        while self._names:
            try:
                self._segment = SegmentReader(self._folder, self._names.pop())
            except FileNotFoundError:  # retention has deleted it meanwhile, and all before
                self._names.clear()
            else:
                self._end = self._segment.size()
                return True
        return False


def _start_of(folder: LogFolder, before: int | None, before_ms: int | None) -> int:
    """The first sequence that is not to be read."""
    if before is not None:
        return before
    return sys.maxsize if before_ms is None else _first_from(folder, before_ms)


def _first_from(folder: LogFolder, unix_ms: int) -> int:
    """The sequence of the first block of this time or later; 0 if none is earlier."""
    place = place_before_time(folder, unix_ms)
    names = [name for name in folder.segments() if place and name.number >= place.segment]
    for name in names:
        with closing(SegmentReader(folder, name)) as segment:
            for at, header in headers_from(segment, place.offset if place and place.segment == name.number else 0):
                if at == header.offset and header.timestamp_ms >= unix_ms:
                    return header.sequence
    return sys.maxsize if names else 0


def _decoded(places: str) -> dict[str, int]:
    """Raises Rejected."""
    try:
        return msgspec.json.decode(places, type=_Places)
    except (msgspec.DecodeError, RecursionError):
        raise refused("bad_parameter", "before, after: expected what an earlier call gave as next") from None
