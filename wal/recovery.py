"""Recovery at a start: reads the last segment from the disk, records damage, and cuts off a torn tail.

Its memory is bounded, whatever the size of the log. It never appends to a segment; its caller creates a new one.
"""

import logging
import os
from contextlib import closing
from typing import NamedTuple

from wal import damage
from wal.cursor import Cursor
from wal.damage import QUARANTINE, Damage, Kind, read_ledger
from wal.errors import Broken, Corrupt, MissingSegment
from wal.files import Files, copy_range, opened
from wal.folder import CURSORS, LogFolder
from wal.format import HEADER_BYTES, Position, SegmentName, decode_header
from wal.reader import Reader, read_all
from wal.segment import SegmentReader

logger = logging.getLogger(__name__)


class TornTail(NamedTuple):
    """Bytes after the last whole block, never acknowledged. They were cut off, and copied to `kept_at`."""

    path: str
    offset: int
    length: int
    kept_at: str


class Recovered(NamedTuple):
    """Where a log continues: the next segment and sequence, and the values of its predecessor for its header."""

    segment: int
    sequence: int
    predecessor_end: int
    previous: int
    torn: TornTail | None
    damages: list[Damage]


def recover(folder: LogFolder) -> Recovered:
    """Recover the log in `folder`, whose lock the caller holds.

    Raises Broken if a person must decide, Unreadable if the disk fails, OSError.
    """
    for path in (folder.path, folder.file(CURSORS)):
        for name in folder.files.names(path):
            if name.endswith(".tmp"):
                folder.files.unlink(os.path.join(path, name))
    names = folder.segments()
    cursors = load_cursors(folder)
    if missing := missing_numbers(folder, names, cursors):
        raise MissingSegment(folder.path, 0, f"segment {missing[0]}", "no such file; restore it, or run `wal repair`")
    if not names:
        return Recovered(1, read_ledger(folder).next_sequence, 0, 0, None, [])
    _drop_cached(folder.files, folder.segment_file(names[-1]))
    for segment in names:
        _check_is_in_place(folder, segment)
    end, previous, damages = scan_last(folder, names[-1], cursors)
    for found in damages:
        damage.append(folder, found)
    if damages and damages[-1].kind is Kind.SHIFTED:
        torn = None
        _set_aside(folder, names[-1], end.offset)
    else:
        torn = _cut_tail(folder, names[-1], end)
    # Events that an earlier start recorded as lost stay lost, even if it crashed before it created a segment.
    sequence = max(end.sequence, read_ledger(folder).next_sequence)
    return Recovered(end.segment + 1, sequence, end.offset, previous, torn, damages)


def load_cursors(folder: LogFolder) -> list[Cursor]:
    """All readable cursors. A damaged cursor stops its own consumer, and no other."""
    loaded = []
    for name in folder.consumers():
        try:
            if cursor := folder.cursor(name):
                loaded.append(cursor)
        except Corrupt as fault:
            logger.warning("%s", fault)
    return loaded


def missing_numbers(folder: LogFolder, names: list[SegmentName], cursors: list[Cursor]) -> list[int]:
    """The missing segments that damage.ndjson does not have yet."""
    present = {name.number for name in names}
    needed = {cursor.acked.segment for cursor in cursors} | present
    if not needed:
        return []
    return sorted(set(range(min(needed), max(needed) + 1)) - present - read_ledger(folder).missing_segments)


def scan_last(folder: LogFolder, name: SegmentName, cursors: list[Cursor]) -> tuple[Position, int, list[Damage]]:
    """Where the last segment of a log ends, the CRC of its last whole header, and the damage before that end.

    A place was durable if a cursor has passed it, or if damage.ndjson has it: the header that proved it to an earlier
    start may have been cut off with a torn tail. Raises Broken, Unreadable.
    """
    recorded = [entry.end for entry in read_ledger(folder).entries if entry.kind is Kind.CORRUPT]
    places = [place for place in (*(cursor.acked for cursor in cursors), *recorded) if place.segment == name.number]
    proven = max(places, default=None)
    damages: list[Damage] = []
    previous = 0
    with closing(Reader(folder, name.start)) as reader:
        for limit in (proven or reader.position, None):
            for step in read_all(reader, limit):
                previous = reader.previous or previous
                if isinstance(step, Damage):
                    damages.append(step)
        end, previous = reader.position, reader.previous or previous
    if damages and damages[-1].kind is Kind.SHIFTED:
        end = end._replace(offset=damages[-1].start.offset)
    return end, previous, damages


def _check_is_in_place(folder: LogFolder, name: SegmentName) -> None:
    """Raise Broken if the file holds another segment. Its own events would otherwise count as lost, or as torn."""
    with closing(SegmentReader(folder, name)) as reader:
        header = decode_header(reader.raw(0, HEADER_BYTES))
    if header and header.log_id == folder.log_id and header.segment != name.number:
        found = f"segment {header.segment}; one was moved or copied here: put them back, or move this log aside"
        raise Broken(reader.path, 0, f"segment {name.number}", found)


def _drop_cached(files: Files, path: str) -> None:
    """Make the next reads come from the disk, and not from the page cache."""
    with opened(files, files.open(path, write=True)) as descriptor:
        files.sync(descriptor)
        files.forget_cache(descriptor)


def _cut_tail(folder: LogFolder, name: SegmentName, end: Position) -> TornTail | None:
    """Copy the bytes after `end` to quarantine, cut them off, and free the blocks allocated after them."""
    files, path, torn = folder.files, folder.segment_file(name), None
    with opened(files, files.open(path, write=True)) as descriptor:
        size = files.size(descriptor)
        if end.offset < size:
            torn = TornTail(path, end.offset, size - end.offset, damage.quarantine(folder, end, size))
        files.truncate(descriptor, min(size, end.offset))
        files.sync_all(descriptor)
    files.sync_directory(folder.path)
    return torn


def _set_aside(folder: LogFolder, name: SegmentName, end: int) -> None:
    """Move the whole segment to quarantine, and leave a copy of its bytes up to `end` in its place."""
    files, path, quarantine = folder.files, folder.segment_file(name), folder.file(QUARANTINE)
    files.make_directory(quarantine)
    if str(name) not in files.names(quarantine):
        files.link(path, os.path.join(quarantine, str(name)))
        files.sync_directory(quarantine)
    copy_range(files, path, f"{path}.tmp", 0, end)
    files.rename(f"{path}.tmp", path)
    files.sync_directory(folder.path)
