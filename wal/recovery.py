"""What a start does with what a stop left behind: reads the last segment from the disk and cuts its torn tail off.

Memory stays bounded, whatever the size of the log. Recovery never appends to a segment: its caller opens a new one.
"""

import os
from typing import Final, NamedTuple

from wal.cursor import Cursor, consumers, load_cursor
from wal.errors import Corrupt
from wal.files import Files, write_all
from wal.format import BLOCK_KIND, HEADER_BYTES, Header, Position, decode_header
from wal.segment import SegmentName, SegmentReader, list_segments

_QUARANTINE: Final = "quarantine"
_QUARANTINE_BYTES: Final = 64 << 20
_CHUNK_BYTES: Final = 1 << 20


class TornTail(NamedTuple):
    """Bytes behind the last whole block, which no one was told of: cut off, and kept in `kept_at`."""

    path: str
    offset: int
    length: int
    kept_at: str


class Recovered(NamedTuple):
    """Where a log goes on: its next segment and sequence, and what that segment's header says of its predecessor."""

    segment: int
    sequence: int
    predecessor_end: int
    previous: int
    torn: TornTail | None


def recover(files: Files, directory: str, log_id: bytes) -> Recovered:
    """Repair the log in `directory`, whose lock the caller holds. Raises Corrupt where only a person can decide."""
    _drop_temporaries(files, directory)
    segments = list_segments(files, directory)
    cursors = _load_cursors(files, directory, log_id)
    _check_none_is_missing(directory, segments, cursors)
    if not segments:
        return Recovered(1, 1, 0, 0, None)
    reader = SegmentReader(files, directory, log_id, segments[-1], write=True)
    try:
        reader.sync_and_forget_cache()
        end, previous, fault = _scan(reader)
        torn = None
        if end.offset < reader.size():
            _check_is_torn(reader, end, fault, cursors)
            torn = _cut(files, directory, reader, end.offset)
        reader.truncate(end.offset)
        files.sync_directory(directory)
    finally:
        reader.close()
    return Recovered(end.segment + 1, end.sequence, end.offset, previous, torn)


def _drop_temporaries(files: Files, directory: str) -> None:
    for folder in (directory, os.path.join(directory, "cursors")):
        for name in files.names(folder):
            if name.endswith(".tmp"):
                files.unlink(os.path.join(folder, name))


def _load_cursors(files: Files, directory: str, log_id: bytes) -> list[Cursor]:
    loaded = (load_cursor(files, directory, log_id, name) for name in consumers(files, directory))
    return [cursor for cursor in loaded if cursor]


def _check_none_is_missing(directory: str, segments: list[SegmentName], cursors: list[Cursor]) -> None:
    present = [name.number for name in segments]
    first = present[0] if present else 1
    last = max([*present, *(cursor.acked.segment for cursor in cursors)], default=0)
    if missing := sorted(set(range(first, last + 1)) - set(present)):
        raise Corrupt(directory, 0, f"segment {missing[0]}", "no such file; restore it, or move this log aside")


def _scan(reader: SegmentReader) -> tuple[Position, int, Corrupt | None]:
    """Where the whole blocks end, the last header's CRC, and what is wrong there, if bytes are."""
    header = reader.header()
    place, previous = Position(reader.name.number, HEADER_BYTES, header.sequence), header.header_crc
    try:
        while block := reader.block(place.offset):
            reader.check_follows(block.header, place, previous)
            place, previous = block.end, block.header.header_crc
    except Corrupt as fault:
        return place, previous, fault
    return place, previous, None


def _check_is_torn(reader: SegmentReader, end: Position, fault: Corrupt | None, cursors: list[Cursor]) -> None:
    """Raise Corrupt unless the bytes from `end` on can only be what a crash leaves of one write."""
    cause = fault or Corrupt(reader.path, end.offset, "a whole block", "a part of one")
    if any(cursor.acked > end and cursor.acked.segment == end.segment for cursor in cursors):
        raise _damage(cause, "a cursor is beyond it")
    for place, header in _headers_behind(reader, end.offset):
        if header.offset != place:
            raise _damage(cause, f"a header written for byte {header.offset} stands at byte {place}")
        if header.durable > end.offset:
            raise _damage(cause, f"the block at byte {place} says that these bytes were fsynced")


def _damage(cause: Corrupt, why: str) -> Corrupt:
    found = f"{cause.found}; this is damage and not a torn write, since {why}. Move this log aside to start without it"
    return Corrupt(cause.path, cause.offset, cause.expected, found)


def _headers_behind(reader: SegmentReader, offset: int) -> list[tuple[int, Header]]:
    """Whole block headers of this log anywhere behind `offset`, with the byte that each stands at."""
    magic = b'["%b","%b",' % (BLOCK_KIND, reader.log_id)
    found = []
    size = reader.size()
    for start in range(offset, size, _CHUNK_BYTES):
        chunk = reader.raw(start, _CHUNK_BYTES + HEADER_BYTES - 1)
        at = chunk.find(magic)
        while 0 <= at < _CHUNK_BYTES:
            if header := decode_header(chunk[at : at + HEADER_BYTES]):
                found.append((start + at, header))
            at = chunk.find(magic, at + 1)
    return found


def _cut(files: Files, directory: str, reader: SegmentReader, offset: int) -> TornTail:
    """Copy the tail into quarantine, at most _QUARANTINE_BYTES of it, durably."""
    folder = os.path.join(directory, _QUARANTINE)
    files.make_directory(folder)
    kept_at = os.path.join(folder, f"{reader.name}.{offset}")
    length = reader.size() - offset
    target = files.create(kept_at)
    try:
        for start in range(offset, offset + min(length, _QUARANTINE_BYTES), _CHUNK_BYTES):
            write_all(files, target, [reader.raw(start, _CHUNK_BYTES)])
        files.sync_all(target)
    finally:
        files.close(target)
    files.sync_directory(folder)
    return TornTail(reader.path, offset, length, kept_at)
