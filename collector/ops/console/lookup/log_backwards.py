"""The lines of one log, newest first.

A log is read backwards in windows: the headers in a window lead to its blocks.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from wal.examine import headers_from
from wal.folder import LogFolder
from wal.format import HEADER_BYTES, MAX_BLOCK_BYTES, Header, payload_fault
from wal.seek import place_before
from wal.segment import SegmentReader

_WINDOW_BYTES: Final = 256 << 10


class LogLine(NamedTuple):
    """A line, without its LF; `path` is the file of its segment, and `start` its first byte there."""

    source: str
    path: str
    header: Header
    sequence: int
    start: int
    line: bytes


class LogBackwards:
    """One log from the event before sequence `before` back to its beginning."""

    def __init__(self, folder: LogFolder, before: int) -> None:
        """`before` is sys.maxsize for the end of the log. Raises WalError, OSError."""
        self.before = before
        self.damaged: list[tuple[int, int]] = []
        """What was passed over, the newest first: the first sequence, and the one after the last."""
        self._folder = folder
        self._names = [name for name in folder.segments() if name.sequence < before]
        self._oldest = self._names[0].sequence if self._names else sys.maxsize
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

    @property
    def log_id(self) -> str:
        """The id of the log. Raises WalError, OSError."""
        return self._folder.log_id.decode()

    def peek(self) -> Header | None:
        """The header of the newest block that is left."""
        while not self._headers and self._fill():
            pass
        header = self._headers[-1] if self._headers else None
        self._pass_over(header.sequence + header.records if header else self._oldest)
        return header

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
            self._pass_over(header.sequence)
            self.before = header.sequence
            self._headers.pop()
            yield None

    def close(self) -> None:
        """Close the open segment."""
        if self._segment:
            self._segment.close()
            self._segment = None

    def _pass_over(self, first: int) -> None:
        """Note as damaged what lies between this sequence and the place where reading is: sequences have no gap.

        At the end of the log that is a block that is being written.
        """
        if first < self.before < sys.maxsize:
            end = self.damaged.pop()[1] if self.damaged and self.damaged[-1][0] == self.before else self.before
            self.damaged.append((first, end))
            self.before = first

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
                self._oldest = sys.maxsize
            else:
                self._end = self._segment.size()
                return True
        return False
