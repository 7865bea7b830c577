"""`wal ls`: a log at a glance. Reads headers, and as a whole only the last segment and those before a gap."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import zip_longest
from typing import NamedTuple

from wal.cursor import Cursor
from wal.damage import Damage, Kind, read_ledger
from wal.errors import Corrupt, MissingSegment
from wal.folder import LogFolder
from wal.format import Position, SegmentName
from wal.reader import Reader, read_all
from wal.segment import Block, SegmentReader


def listing(folder: LogFolder) -> Iterator[str]:
    """The lines that describe a log: its segments, cursors and damage. Raises Broken, OSError."""
    log_id, held = folder.log_id, folder.is_locked()
    yield f"{folder.path}  log {log_id.decode()}  {'held by a writer' if held else 'not held'}"
    times = f"{'opened (UTC)':20}  {'last commit (UTC)':20}"
    yield f"  {'segment':>10} {'first seq':>16} {'events':>10} {'bytes':>12}  {times}  state"
    end = None
    names = folder.segments()
    for name, behind in zip_longest(names, names[1:]):
        state = "sealed" if behind else "active" if held else "closed"
        if behind and behind.number == name.number + 1:
            end, last = behind.start, opened_ms(folder, behind)
        else:
            end, last = end_of(folder, name)
        yield _row(folder, name, end, last, state)
        yield from _gap(folder, name, behind)
    for consumer in folder.consumers():
        yield f"  cursor {consumer}: {_cursor(folder, consumer, end)}"
    if entries := read_ledger(folder).entries:
        yield f"  damage.ndjson: {len(entries)} places, {sum(entry.lost for entry in entries)} events lost"


class Lag(NamedTuple):
    """How far a consumer is behind: events, bytes of segments with their framing, and the commit time (Unix ms) of the
    oldest event that it has not, or None where it has all."""

    events: int
    bytes: int
    since_ms: int | None


def lag_of(folder: LogFolder, cursor: Cursor) -> Lag:
    """How far a consumer is behind the end of its log. Raises Broken, Unreadable, OSError."""
    names = folder.segments()
    if not names:
        found = "no segment at all; restore the log"
        raise MissingSegment(folder.path, 0, f"segment {cursor.acked.segment}", found)
    end, _ = end_of(folder, names[-1])
    settled = max(cursor.acked.sequence, cursor.intent.next if cursor.intent else 0)
    if settled >= end.sequence:
        return Lag(0, 0, None)
    reader = Reader(folder, cursor.acked)
    try:
        oldest = next((step for step in read_all(reader) if isinstance(step, Block) and step.header.records), None)
    finally:
        reader.close()
    length = _bytes_behind(folder, cursor.acked, end)
    return Lag(end.sequence - settled, length, oldest.header.timestamp_ms if oldest else None)


def end_of(folder: LogFolder, name: SegmentName) -> tuple[Position, int | None]:
    """Where the last segment, or one before a gap, ends, and when its last block was committed (Unix ms).

    Raises Broken, Unreadable, OSError.
    """
    reader, last = Reader(folder, name.start), None
    end = reader.position
    try:
        for step in read_all(reader):
            if isinstance(step, Damage) and step.kind is Kind.MISSING:
                break
            if isinstance(step, Block):
                last = step.header.timestamp_ms
            end = reader.position
    except MissingSegment:
        pass
    finally:
        reader.close()
    return end, last


def opened_ms(folder: LogFolder, name: SegmentName) -> int | None:
    """When a segment was opened, in Unix ms; None if its header can't be read."""
    segment = SegmentReader(folder, name)
    try:
        return segment.header().timestamp_ms
    except Corrupt:
        return None
    finally:
        segment.close()


def _row(folder: LogFolder, name: SegmentName, end: Position, last: int | None, state: str) -> str:
    length = os.path.getsize(folder.segment_file(name))
    if any(entry.start.segment == name.number for entry in read_ledger(folder).entries):
        state = "damaged"
    elif state == "closed" and end.offset < length:
        state = "torn"
    times = f"{_time(opened_ms(folder, name)):20}  {_time(last):20}"
    return f"  {name.number:>10} {name.sequence:>16} {end.sequence - name.sequence:>10} {length:>12}  {times}  {state}"


def _gap(folder: LogFolder, name: SegmentName, behind: SegmentName | None) -> Iterator[str]:
    known = read_ledger(folder).missing_segments
    for number in range(name.number + 1, behind.number if behind else 0):
        yield f"  {number:>10} missing{', and recorded in damage.ndjson' if number in known else ''}"


def _cursor(folder: LogFolder, consumer: str, end: Position | None) -> str:
    try:
        cursor = folder.cursor(consumer)
    except Corrupt as fault:
        return f"damaged: {fault}"
    if cursor is None or end is None:
        return "gone"
    events, length = end.sequence - cursor.acked.sequence, _bytes_behind(folder, cursor.acked, end)
    under_way = f", batch {cursor.intent.token} under way" if cursor.intent else ""
    return f"next seq {cursor.acked.sequence}, {events} events and {length} bytes behind{under_way}"


def _bytes_behind(folder: LogFolder, place: Position, end: Position) -> int:
    """Bytes of segments between two places, framing counted."""
    if place.segment == end.segment:
        return end.offset - place.offset
    names = [name for name in folder.segments() if place.segment <= name.number < end.segment]
    return sum(os.path.getsize(folder.segment_file(name)) for name in names) - place.offset + end.offset


def _time(unix_ms: int | None) -> str:
    if unix_ms is None:
        return "?"
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
