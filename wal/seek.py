"""Finds an event by bisection, so that it takes milliseconds whatever the length of the log.

Segments are named by their first sequence. In a segment every block header is at the offset that it names, and
sequences only rise, so the first header after any byte tells on which side of it an event is.
"""

from typing import Final

from wal.examine import headers_from
from wal.folder import LogFolder
from wal.format import Position
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
    segment = SegmentReader(folder, earlier[-1])
    try:
        return _bisect(segment, sequence)
    finally:
        segment.close()


def _bisect(segment: SegmentReader, sequence: int) -> Position:
    place, end = segment.name.start, segment.size()
    while end - place.offset > _NEAR_BYTES:
        middle = (place.offset + end) // 2
        found = _first_place(segment, middle, end)
        if found is None or found.sequence > sequence:
            end = middle
        else:
            place = found
    return place


def _first_place(segment: SegmentReader, start: int, end: int) -> Position | None:
    """The place of the first block header in these bytes of a segment."""
    for at, header in headers_from(segment, start, _NEAR_BYTES):
        if at >= end:
            break
        if at == header.offset:
            return Position(header.segment, at, header.sequence)
    return None
