"""Finds an event, or a time, by bisection, so that it takes milliseconds whatever the length of the log.

Segments are named by their first sequence. In a segment every block header is at the offset that it names, and
sequences only rise, so the first header after any byte tells on which side of it an event is. Times rise with them,
unless the clock was set back.
"""

from bisect import bisect_left
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Final

from wal.errors import Corrupt
from wal.examine import headers_from
from wal.folder import LogFolder
from wal.format import Header, Position, SegmentName
from wal.segment import SegmentReader

_NEAR_BYTES: Final = 64 << 10
"""Bytes read in a step. A shorter distance is read block by block, since another step would save no time."""


def place_before(folder: LogFolder, sequence: int) -> Position | None:
    """A place between two blocks, at or shortly before the event `sequence`; None if no segment begins before it.

    A reader that starts there finds the event, or why it is not there. Raises Unreadable, OSError.
    """
    earlier = [name for name in folder.segments() if name.sequence <= sequence]
    if not earlier:
        return None
    return _bisected(folder, earlier[-1], lambda header: header.sequence > sequence)


def place_before_time(folder: LogFolder, unix_ms: int) -> Position | None:
    """A place between two blocks, at or shortly before the first one of this time or later; None if none is earlier.

    Raises Unreadable, OSError.
    """
    names = folder.segments()
    earlier = names[: bisect_left(names, unix_ms, key=lambda name: _created_ms(folder, name))]
    return _bisected(folder, earlier[-1], lambda header: header.timestamp_ms >= unix_ms) if earlier else None


def _created_ms(folder: LogFolder, name: SegmentName) -> int:
    """When a segment was created; if its header is damaged, the time of its first block, and 0 if it has none."""
    with closing(SegmentReader(folder, name)) as segment:
        with suppress(Corrupt):
            return segment.header().timestamp_ms
        first = _first_header(segment, name.start.offset, segment.size())
        return first.timestamp_ms if first else 0


def _bisected(folder: LogFolder, name: SegmentName, is_after: Callable[[Header], bool]) -> Position:
    """A place in a segment, at or shortly before the first block that `is_after`."""
    with closing(SegmentReader(folder, name)) as segment:
        place, end = name.start, segment.size()
        while end - place.offset > _NEAR_BYTES:
            middle = (place.offset + end) // 2
            found = _first_header(segment, middle, end)
            if found is None or is_after(found):
                end = middle
            else:
                place = Position(name.number, found.offset, found.sequence)
        return place


def _first_header(segment: SegmentReader, start: int, end: int) -> Header | None:
    """The first block header in these bytes of a segment."""
    for at, header in headers_from(segment, start, _NEAR_BYTES):
        if at >= end:
            break
        if at == header.offset:
            return header
    return None
