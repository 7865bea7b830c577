"""Which segments may go, pure: decides, and touches nothing."""

from collections.abc import Sequence
from typing import NamedTuple

from wal.format import Position
from wal.segment import SegmentName


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
) -> list[SegmentName]:
    """The oldest segments, as far as every cursor has passed them and they are over the age or the bytes to keep.

    `sealed` is ordered, oldest first. A log without a consumer keeps everything: nobody else has seen it.
    """
    if not cursors:
        return []
    delivered = min(cursors)
    total = sum(segment.length for segment in sealed)
    names = []
    for segment in sealed:
        is_kept = total <= keep_bytes and now_ms - segment.sealed_ms < keep_ms
        if is_kept or segment.name.number >= delivered.segment:
            break
        total -= segment.length
        names.append(segment.name)
    return names
