"""Which segments may be deleted, pure."""

from collections.abc import Sequence
from typing import NamedTuple

from wal.format import Position, SegmentName
from wal.room import NO_SHORTAGE, Shortage


class SealedSegment(NamedTuple):
    """A segment that is no longer written: its size in bytes, and the Unix ms when its successor was created."""

    name: SegmentName
    length: int
    sealed_ms: int


def droppable(
    sealed: Sequence[SealedSegment],
    cursors: Sequence[Position],
    *,
    now_ms: int,
    keep_ms: int,
    keep_bytes: int,
    shortage: Shortage = NO_SHORTAGE,
) -> list[SealedSegment]:
    """The oldest segments that every cursor has passed and that exceed `keep_ms` or `keep_bytes`.

    While the disk is short, age does not count until the shortage is over. `sealed` is ordered, oldest first. Without
    cursors nothing may be deleted, because nobody has read the log.
    """
    if not cursors:
        return []
    delivered = min(cursors)
    total = sum(segment.length for segment in sealed)
    freed = 0
    gone: list[SealedSegment] = []
    for segment in sealed:
        is_kept = total <= keep_bytes and _age_ms(segment, now_ms) < keep_ms
        is_short = freed < shortage.bytes or len(gone) < shortage.files
        if (is_kept and not is_short) or segment.name.number >= delivered.segment:
            break
        total -= segment.length
        freed += segment.length
        gone.append(segment)
    return gone


def _age_ms(segment: SealedSegment, now_ms: int) -> int:
    """The age of a segment, 0 if the clock was set back."""
    return max(0, now_ms - segment.sealed_ms)
