"""Sealed segments: deletion of those that retention gives up, and the proof that their blocks are durable."""

import contextlib
import logging
from collections.abc import Callable, Iterable
from typing import Final

from wal.errors import Corrupt
from wal.files import opened
from wal.folder import LogFolder
from wal.format import Position, SegmentName
from wal.log import monotonic_ms, now_ms
from wal.retention import SealedSegment, droppable
from wal.room import NO_SHORTAGE, Shortage
from wal.segment import Block, SegmentReader

logger = logging.getLogger(__name__)


def steady_clock(clock: Callable[[], int] = now_ms, monotonic: Callable[[], int] = monotonic_ms) -> Callable[[], int]:
    """A clock of Unix ms that reads `clock` once, now, and advances by `monotonic`.

    Across restarts only the wall clock gives the age of a segment. But if somebody sets that clock while this process
    runs, segments must not become old and be deleted all at once.
    """
    offset_ms = clock() - monotonic()
    return lambda: monotonic() + offset_ms


_retention_ms: Final = steady_clock()


def drop_segments(
    folder: LogFolder,
    *,
    expected: Iterable[str],
    keep_ms: int,
    keep_bytes: int,
    shortage: Shortage = NO_SHORTAGE,
    passed: Position | None = None,
) -> list[SegmentName]:
    """Delete the segments that every consumer has passed and that need not be kept. Returns their names.

    `expected` names consumers that may have no cursor yet; nothing is deleted until they have. `shortage` is what the
    disk lacks; segments are then deleted before their retention is over. `passed` stands for the cursor of a log
    without consumers. Raises Corrupt, OSError.
    """
    cursors = {name: folder.cursor(name) for name in folder.consumers()}
    if not set(expected) <= set(cursors):
        return []
    places = [cursor.acked for cursor in cursors.values() if cursor] + ([passed] if passed else [])
    oldest = folder.segments()[:1]
    if not places or not oldest or oldest[0].number >= min(places).segment:
        return []  # while the disk is short this runs a few times a second, and the rest opens every segment
    sealed, now = _sealed(folder), _retention_ms()
    due = droppable(sealed, places, now_ms=now, keep_ms=keep_ms, keep_bytes=keep_bytes)
    gone = droppable(sealed, places, now_ms=now, keep_ms=keep_ms, keep_bytes=keep_bytes, shortage=shortage)
    if gone and cursors:  # the process that wrote a cursor may have ended before its sync
        folder.sync_cursors()
    if early := gone[len(due) :]:
        logger.warning(
            "%s: the disk is short: %d delivered segments (%d bytes) are given up before their retention is over",
            folder.path,
            len(early),
            sum(segment.length for segment in early),
        )
    names = [segment.name for segment in gone]
    _unlink(folder, names)
    return names


def _unlink(folder: LogFolder, names: Iterable[SegmentName]) -> None:
    """Unlink one by one and sync each time. Otherwise a power cut could leave a gap."""
    with opened(folder.files, folder.files.open_directory(folder.path)) as descriptor:
        for name in names:
            folder.files.unlink(folder.segment_file(name))
            folder.files.sync_names(descriptor)


def is_sealed(folder: LogFolder, block: Block) -> bool:
    """Whether the header of the next segment proves this block durable. Raises Unreadable, OSError."""
    header = block.header
    for name in folder.segments():
        if name.number == header.segment + 1:
            with contextlib.closing(SegmentReader(folder, name)) as reader, contextlib.suppress(Corrupt):
                return reader.header().durable >= header.end
    return False


def _sealed(folder: LogFolder) -> list[SealedSegment]:
    """All segments but the active one. Each was sealed when its successor was created, by the next readable header."""
    found: list[SealedSegment] = []
    sealed_ms = 0
    for at, name in enumerate(reversed(folder.segments())):
        with contextlib.closing(SegmentReader(folder, name)) as reader:
            if at:
                found.append(SealedSegment(name, reader.size(), sealed_ms or now_ms()))
            with contextlib.suppress(Corrupt):
                sealed_ms = reader.header().timestamp_ms
    return found[::-1]
