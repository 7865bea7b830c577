"""Eviction of shipped bytes from the page cache."""

import contextlib
from typing import Final

from wal.files import opened
from wal.folder import LogFolder
from wal.format import Position

_UNIT_BYTES: Final = 2 << 20
"""An evicted range begins at a multiple of this: the kernel caches a file in folios of up to this size."""


def evict_from_page_cache(folder: LogFolder, start: Position, end: Position) -> None:
    """Evict the durable bytes from `start` to `end`, which no one is about to read. Raises OSError.

    Otherwise the pages of a busy log would push out all others. And the next blocks reuse the evicted pages: taking
    fresh ones makes writing a block two to three times as slow.
    """
    for name in folder.segments():
        if start.segment <= name.number <= end.segment:
            first = start.offset // _UNIT_BYTES * _UNIT_BYTES if name.number == start.segment else 0
            length = end.offset - first if name.number == end.segment else 0
            with (
                contextlib.suppress(FileNotFoundError),  # retention deleted it meanwhile
                opened(folder.files, folder.files.open(folder.segment_file(name))) as descriptor,
            ):
                folder.files.forget_cache(descriptor, first, length)
