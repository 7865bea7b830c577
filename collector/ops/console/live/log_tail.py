"""The newest blocks of one log, as they become durable, by their headers alone.

A header proves all blocks before it: it is written after their fsync. So a block is known to be durable once a later
header can be read, which the idle block makes at most 100 ms later. Where no header follows that can be read, `wal`'s
reader tells why: the end for now, the next segment, or damage.
"""

import os
import time
from contextlib import closing
from typing import Final

from wal.damage import Damage
from wal.errors import MissingSegment
from wal.examine import headers_from
from wal.files import named
from wal.folder import LogFolder
from wal.format import BLOCK_KIND, HEADER_BYTES, Header, Position, SegmentName, decode_header
from wal.reader import Reader
from wal.segment import Block, SegmentReader

START_BYTES: Final = 1 << 20
"""Where to start before the end of a log, and where to go on if it grew by more than can be followed."""
_MOST_HEADERS: Final = 4096
"""Headers read in one call, about 20 ms of CPU. The fastest log has a tenth of that in the time between two calls."""
_COARSE_NS: Final = 100_000_000
"""Two changes of a folder within one tick of the kernel's clock have the same time, so a change this recent may hide
another one."""


class LogTail:
    """Follows the end of one log. One thread at a time."""

    def __init__(self, folder: LogFolder, *, is_new: bool) -> None:
        """`is_new`: the log was not there before, so that `seen` counts all of its events."""
        self.folder = folder
        self._is_new = is_new
        self._base: int | None = None
        """The sequence after which events are counted."""
        self._place: Position | None = None
        """Where the next header is expected."""
        self._previous: int | None = None
        self._segment: SegmentReader | None = None
        self._found: list[Header | Damage] = []
        """The headers and damages that `take` has not returned yet. The last block may not be proven."""
        self._look: tuple[int, int] | None = None
        """Size of the segment and ns of the last change of the folder, when no header could be read."""
        self._has_tried_reader = False
        """Whether the reader has tried the bytes that are not a block, and found nothing."""

    @property
    def seen(self) -> int:
        """Events proven durable since this began, the lost ones too. Exact at any rate, since sequences have no gap."""
        return 0 if self._base is None or self._place is None else self._proven(self._place) - self._base

    def advance(self) -> None:
        """Read headers to the end of the log. The first call starts START_BYTES before it.

        Blocks are left out if there are more than a call can read. Raises WalError, OSError.
        """
        try:
            if self._place is None and not self._start():
                return
            self._follow()
        except (MissingSegment, FileNotFoundError):  # retention was faster
            if self._start():
                self._follow()
        if self._base is None and self._place:
            self._base = self._proven(self._place)

    def take(self) -> list[Header | Damage]:
        """The blocks with events that were proven durable since the last call, and the damage, oldest first."""
        found, unproven = self._found, self._unproven()
        self._found = [unproven] if unproven else []
        return [step for step in found if step is not unproven and (isinstance(step, Damage) or step.records)]

    def payload(self, header: Header) -> tuple[str, bytes] | None:
        """The file of a block that was found, and its payload, unchecked; None if its segment is gone.

        Raises Unreadable, OSError.
        """
        segment = self._segment
        if segment is not None and segment.name.number == header.segment:
            return segment.path, _payload(segment, header)
        name = next((name for name in self.folder.segments() if name.number == header.segment), None)
        try:
            segment = SegmentReader(self.folder, name) if name else None
        except FileNotFoundError:
            segment = None
        if segment is None:
            return None
        with closing(segment):
            return segment.path, _payload(segment, header)

    def close(self) -> None:
        """Close the open segment. `advance` opens it again."""
        if self._segment:
            self._segment.close()
            self._segment = None

    def _start(self) -> bool:
        """Go to the first block in the last START_BYTES of the log, unless that is passed; False if there is no log."""
        place = _newest_place(self.folder)
        if place is None or (self._place and place <= self._place):
            return False
        self.close()
        self._place, self._previous = place, None
        if self._is_new and self._base is None:
            self._base = self.folder.segments()[0].sequence
        return True

    def _follow(self) -> None:
        """Read headers to the end of the log, or until there are too many of them, and go near the end then."""
        count = 0
        while (step := self._next()) is not None:
            self._found.append(step)
            count += 1
            if count == _MOST_HEADERS and self._start():
                self._found.clear()

    def _next(self) -> Header | Damage | None:
        """The next block or damage; None if there is nothing yet."""
        place = self._place
        assert place  # noqa: S101  `_start` has set it
        if self._segment is None or self._segment.name.number != place.segment:
            self._open(place.segment)
        if self._segment:
            size = self._segment.size()
            header = decode_header(self._segment.raw(place.offset, HEADER_BYTES))
            if header and header.end <= size and self._fits(header, place):
                self._place = Position(header.segment, header.end, header.sequence + header.records)
                self._previous = header.header_crc
                return header
        return self._ask_reader(place) if self._is_worth_asking(place) else None

    def _fits(self, header: Header, place: Position) -> bool:
        """Whether this is the block that must be here."""
        is_here = (header.kind, header.log_id) == (BLOCK_KIND, self.folder.log_id) and place == header[2:5]
        return is_here and self._previous in (None, header.previous)

    def _is_worth_asking(self, place: Position) -> bool:
        """Whether the reader may find more than a block that is being written. To ask it costs as much as 30 headers.

        It may after a change of the folder, which is a new segment, and if bytes that are no block stay as they are.
        """
        size = self._segment.size() if self._segment else 0
        changed_ns = os.stat(self.folder.path).st_mtime_ns
        before, self._look = self._look, (size, changed_ns)
        if before is None or before[1] != changed_ns or abs(time.time_ns() - changed_ns) < _COARSE_NS:
            return True
        is_same = before == self._look
        is_stuck = is_same and size != place.offset and not self._has_tried_reader
        self._has_tried_reader = is_same and (is_stuck or self._has_tried_reader)
        return is_stuck

    def _ask_reader(self, place: Position) -> Header | Damage | None:
        """The block or the damage that the reader of the log finds here."""
        with closing(Reader(self.folder, place)) as reader:
            if place.offset != HEADER_BYTES:  # at the beginning of a segment it reads the segment's own header again
                reader.previous = self._previous
            step = reader.next()
        self._place, self._previous = reader.position, reader.previous
        if step is None:
            return self._next() if reader.position != place else None
        return step.header if isinstance(step, Block) else step

    def _open(self, number: int) -> None:
        self.close()
        self._look = None
        name = next((name for name in self.folder.segments() if name.number == number), None)
        self._segment = SegmentReader(self.folder, name) if name else None

    def _unproven(self) -> Header | None:
        """The last block, unless a header follows it: of this segment or of the next one."""
        last = self._found[-1] if self._found else None
        if isinstance(last, Header) and self._place and last.segment == self._place.segment:
            return last
        return None

    def _proven(self, place: Position) -> int:
        """The sequence after the last event that is proven durable."""
        unproven = self._unproven()
        return unproven.sequence if unproven else place.sequence


def _payload(segment: SegmentReader, header: Header) -> bytes:
    return segment.raw(header.offset + HEADER_BYTES, header.length)


def _newest_place(folder: LogFolder) -> Position | None:
    """The first block in the last START_BYTES of a log; None if it has no segment."""
    names = folder.segments()
    left = START_BYTES
    for name in reversed(names):
        path = folder.segment_file(name)
        with named(path):
            size = os.stat(path).st_size
        if size >= left:
            return _first_after(folder, name, size - left)
        left -= size
    return names[0].start if names else None


def _first_after(folder: LogFolder, name: SegmentName, offset: int) -> Position:
    """The first block at or after an offset of a segment; the first of the segment if there is none."""
    if offset <= HEADER_BYTES:
        return name.start
    with closing(SegmentReader(folder, name)) as segment:
        for at, header in headers_from(segment, offset):
            if at == header.offset:
                return Position(name.number, at, header.sequence)
    return name.start
