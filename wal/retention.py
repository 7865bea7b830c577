"""Which segments may go, pure: decides, and touches nothing."""

from collections.abc import Sequence
from typing import NamedTuple

from wal.format import Position, SegmentName
from wal.room import NO_SHORTAGE, Shortage


class SealedSegment(NamedTuple):
    """A segment that is not written any more: its size in bytes, and when its last block was committed."""

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
    """The oldest segments, as far as every cursor has passed them and they are over the age or the bytes to keep.

    While the disk is short, they go whatever their age, until what is missing has become free. `sealed` is ordered,
    oldest first. A log without a consumer keeps everything: nobody else has seen it.
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
    """Its age; a clock that was set back since makes no segment younger than new."""
    return max(0, now_ms - segment.sealed_ms)
