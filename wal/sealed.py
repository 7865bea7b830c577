"""Sealed segments on the disk: what there is, and unlinking what retention lets go."""

import os
from collections.abc import Iterable

from wal.cursor import consumers, load_cursor
from wal.files import Files
from wal.log import now_ms
from wal.retention import SealedSegment, droppable
from wal.segment import SegmentName, SegmentReader, list_segments


def drop_segments(
    files: Files, directory: str, log_id: bytes, *, expected: Iterable[str], keep_ms: int, keep_bytes: int
) -> list[SegmentName]:
    """Unlink the segments that every consumer has passed and that need not be kept; returns their names.

    `expected` are consumers that may not have a cursor yet; until they do, nothing goes. Raises Corrupt, OSError.
    """
    cursors = {name: load_cursor(files, directory, log_id, name) for name in consumers(files, directory)}
    if not set(expected) <= set(cursors):
        return []
    places = [cursor.acked for cursor in cursors.values() if cursor]
    names = droppable(
        _sealed(files, directory, log_id), places, now_ms=now_ms(), keep_ms=keep_ms, keep_bytes=keep_bytes
    )
    for name in names:
        files.unlink(os.path.join(directory, str(name)))
    if names:
        files.sync_directory(directory)
    return names


def _sealed(files: Files, directory: str, log_id: bytes) -> list[SealedSegment]:
    """All segments but the active one; each is as old as its successor's header."""
    names = list_segments(files, directory)
    sizes, opened = [], []
    for name in names:
        reader = SegmentReader(files, directory, log_id, name)
        try:
            sizes.append(reader.size())
            opened.append(reader.header().timestamp_ms)
        finally:
            reader.close()
    return [SealedSegment(*each) for each in zip(names[:-1], sizes[:-1], opened[1:], strict=True)]
