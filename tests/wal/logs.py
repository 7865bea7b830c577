"""Small logs to test with: numbered events, a clock that stands still, and all that a reader sees of a log."""

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from wal.files import Files
from wal.format import Position
from wal.identity import read_log_id
from wal.reader import Reader, oldest
from wal.segment import Block, list_segments

FILES = Files()
START_MS = 1_700_000_000_000
FOREVER = Position(1 << 32, 0, 0)
"""Behind every place of a log."""


class Clock:
    """Unix milliseconds that move when they are set."""

    def __init__(self) -> None:
        self.ms = START_MS

    def __call__(self) -> int:
        return self.ms


def line(number: int) -> bytes:
    """One event."""
    return b'{"n":%d}\n' % number


def lines(numbers: Iterable[int]) -> bytes:
    """Events, one a line."""
    return b"".join(map(line, numbers))


def numbers(blocks: Iterable[Block]) -> list[int]:
    """The events of blocks."""
    return [json.loads(text)["n"] for block in blocks for text in block.payload.splitlines()]


def read_blocks(directory: str, start: Position | None = None, limit: Position | None = None) -> list[Block]:
    """All blocks from `start`, or from the oldest, up to the end or to `limit`."""
    start = start or oldest(FILES, directory)
    assert start, "no log"
    reader = Reader(FILES, directory, read_log_id(FILES, directory), start)
    try:
        return list(iter(lambda: reader.next(limit), None))
    finally:
        reader.close()


def events(directory: str) -> list[int]:
    """All events of a log."""
    return numbers(read_blocks(directory))


def segments(directory: str) -> list[Path]:
    """The files of a log's segments, oldest first."""
    return [Path(directory, str(name)) for name in list_segments(FILES, directory)]


def crash_image(directory: str) -> str:
    """A copy of a log that is being written, as a killed process leaves it."""
    image = f"{directory}-{len(os.listdir(os.path.dirname(directory)))}"
    shutil.copytree(directory, image, symlinks=True)
    return image


def damage(path: Path, offset: int, content: bytes | None = None) -> None:
    """Overwrite bytes in place; without `content`, flip a bit of one."""
    data = bytearray(path.read_bytes())
    content = content or bytes([data[offset] ^ 1])
    data[offset : offset + len(content)] = content
    path.write_bytes(data)
