"""Where a log ends, how far a consumer is from there, and when a segment was opened. Reads; changes nothing."""

import os
import sys
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import NamedTuple

from wal.cursor import Cursor
from wal.damage import Damage, Kind
from wal.errors import Corrupt, MissingSegment
from wal.folder import LogFolder
from wal.format import Position, SegmentName
from wal.reader import Reader, read_all, read_from
from wal.seek import place_before
from wal.segment import Block, SegmentReader


class Lag(NamedTuple):
    """The backlog of a consumer: events, bytes of segments with framing, and the Unix ms when its oldest was committed.

    `since_ms` is None if the backlog is empty.
    """

    events: int
    bytes: int
    since_ms: int | None

    def age_seconds(self, now_ms: int) -> float:
        """The age of the oldest event in the backlog; 0 if there is none, or if the clock was set back since."""
        return 0.0 if self.since_ms is None else max(now_ms - self.since_ms, 0) / 1000


def lag_of(folder: LogFolder, cursor: Cursor) -> Lag:
    """The backlog of a consumer. Raises Broken, Unreadable, OSError."""
    found = end_of_log(folder)
    if found is None:
        raise MissingSegment(folder.path, 0, f"segment {cursor.acked.segment}", "no segment; restore the log")
    end, _ = found
    if cursor.settled >= end.sequence:
        return Lag(0, 0, None)
    steps = read_from(folder, cursor.acked)
    oldest = next((step for step in steps if isinstance(step, Block) and step.header.records), None)
    length = bytes_between(folder, cursor.acked, end)
    return Lag(end.sequence - cursor.settled, length, oldest.header.timestamp_ms if oldest else None)


def end_of_log(folder: LogFolder) -> tuple[Position, int | None] | None:
    """The place after the last block, and its Unix ms if it is known; None for a log without a segment.

    Reads only the last bytes. Raises Broken, Unreadable, OSError.
    """
    place = place_before(folder, sys.maxsize)
    if place is None:
        return None
    last = None
    with closing(Reader(folder, place)) as reader:
        for step in read_all(reader):
            last = step.header.timestamp_ms if isinstance(step, Block) else last
    return reader.position, last


def end_of(folder: LogFolder, name: SegmentName) -> tuple[Position, int | None]:
    """Where the last segment, or one before a gap, ends, and the Unix ms of its last commit. Reads all of the segment.

    Raises Broken, Unreadable, OSError.
    """
    end, last = name.start, None
    with closing(Reader(folder, name.start)) as reader, suppress(MissingSegment):
        for step in read_all(reader):
            if isinstance(step, Damage) and step.kind is Kind.MISSING:
                break
            if isinstance(step, Block):
                last = step.header.timestamp_ms
            end = reader.position
    return end, last


def opened_ms(folder: LogFolder, name: SegmentName) -> int | None:
    """The Unix ms when a segment was created; None if its header is damaged."""
    with closing(SegmentReader(folder, name)) as segment, suppress(Corrupt):
        return segment.header().timestamp_ms
    return None


def bytes_between(folder: LogFolder, place: Position, end: Position) -> int:
    """Bytes of segments between two places, with framing. Raises OSError."""
    if place.segment == end.segment:
        return end.offset - place.offset
    names = [name for name in folder.segments() if place.segment <= name.number < end.segment]
    return sum(segment_bytes(folder, name) or 0 for name in names) - place.offset + end.offset


def segment_bytes(folder: LogFolder, name: SegmentName) -> int | None:
    """The bytes of a segment with framing; None if retention has deleted it meanwhile. Raises OSError."""
    try:
        return os.path.getsize(folder.segment_file(name))
    except FileNotFoundError:
        return None


def utc(unix_ms: int | None) -> str:
    """A time as text, to the second; `?` for none."""
    if unix_ms is None:
        return "?"
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
