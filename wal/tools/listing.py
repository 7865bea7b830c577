"""`wal ls`: a log at a glance. Reads headers; reads blocks only of the last segment, and of those before a gap."""

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
    """Yield the lines that describe a log: its segments, cursors and damage. Raises Broken, OSError."""
    log_id, held = folder.log_id, folder.is_locked()
    yield f"{folder.path}  log {log_id.decode()}  {'held by a writer' if held else 'not held'}"
    times = f"{'opened (UTC)':20}  {'last commit (UTC)':20}"
    yield f"  {'segment':>10} {'first seq':>16} {'events':>10} {'bytes':>12}  {times}  state"
    end = None
    names = folder.segments()
    for name, successor in zip_longest(names, names[1:]):
        state = "sealed" if successor else "active" if held else "closed"
        if successor and successor.number == name.number + 1:
            end, last = successor.start, opened_ms(folder, successor)
        else:
            end, last = end_of(folder, name)
        yield _row(folder, name, end, last, state)
        yield from _gap(folder, name, successor)
    for consumer in folder.consumers():
        yield f"  cursor {consumer}: {_cursor(folder, consumer, end)}"
    if entries := read_ledger(folder).entries:
        yield f"  damage.ndjson: {len(entries)} places, {sum(entry.lost for entry in entries)} events lost"


class Lag(NamedTuple):
    """The backlog of a consumer: events, bytes of segments with framing, and the Unix ms when its oldest was committed.

    `since_ms` is None if the backlog is empty.
    """

    events: int
    bytes: int
    since_ms: int | None


def lag_of(folder: LogFolder, cursor: Cursor) -> Lag:
    """The backlog up to the end of the log. Raises Broken, Unreadable, OSError."""
    names = folder.segments()
    if not names:
        found = "no segment; restore the log"
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
    length = _bytes_between(folder, cursor.acked, end)
    return Lag(end.sequence - settled, length, oldest.header.timestamp_ms if oldest else None)


def end_of(folder: LogFolder, name: SegmentName) -> tuple[Position, int | None]:
    """Where the last segment, or one before a gap, ends, and the Unix ms of its last commit.

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
    """The Unix ms when a segment was created; None if its header is damaged."""
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


def _gap(folder: LogFolder, name: SegmentName, successor: SegmentName | None) -> Iterator[str]:
    known = read_ledger(folder).missing_segments
    for number in range(name.number + 1, successor.number if successor else 0):
        yield f"  {number:>10} missing{', and recorded in damage.ndjson' if number in known else ''}"


def _cursor(folder: LogFolder, consumer: str, end: Position | None) -> str:
    try:
        cursor = folder.cursor(consumer)
    except Corrupt as fault:
        return f"damaged: {fault}"
    if cursor is None or end is None:
        return "gone"
    events, length = end.sequence - cursor.acked.sequence, _bytes_between(folder, cursor.acked, end)
    under_way = f", batch {cursor.intent.token} under way" if cursor.intent else ""
    return f"next seq {cursor.acked.sequence}, {events} events and {length} bytes behind{under_way}"


def _bytes_between(folder: LogFolder, place: Position, end: Position) -> int:
    """Bytes of segments between two places, with framing."""
    if place.segment == end.segment:
        return end.offset - place.offset
    names = [name for name in folder.segments() if place.segment <= name.number < end.segment]
    return sum(os.path.getsize(folder.segment_file(name)) for name in names) - place.offset + end.offset


def _time(unix_ms: int | None) -> str:
    if unix_ms is None:
        return "?"
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
