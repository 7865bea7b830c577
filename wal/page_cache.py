"""The page cache: what of a log leaves it."""

import contextlib
from typing import Final

from wal.folder import LogFolder
from wal.format import Position

_UNIT_BYTES: Final = 2 << 20
"""Where a range of bytes that leave memory begins: the system keeps files in pieces of up to so many, as a whole."""


def evict_from_page_cache(folder: LogFolder, start: Position, end: Position) -> None:
    """Have the system drop the pages of what is durable from `start` to `end`, since nobody is about to read it.

    The pages of a busy log would push out all others. They are the next blocks' own then; fresh ones cost a block two
    to three times as much. Raises OSError.
    """
    for name in folder.segments():
        if start.segment <= name.number <= end.segment:
            first = start.offset // _UNIT_BYTES * _UNIT_BYTES if name.number == start.segment else 0
            length = end.offset - first if name.number == end.segment else 0
            with contextlib.suppress(FileNotFoundError):  # retention was quicker
                descriptor = folder.files.open(folder.segment_file(name))
                try:
                    folder.files.forget_cache(descriptor, first, length)
                finally:
                    folder.files.close(descriptor)
