"""Small logs to test with: numbered events, a clock that stands still, and all that a reader sees of a log."""

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from wal.damage import Damage
from wal.files import Files
from wal.folder import LogFolder
from wal.format import Position
from wal.reader import Reader, read_all
from wal.segment import Block

FILES = Files()
START_MS = 1_700_000_000_000
FOREVER = Position(1 << 32, 0, 0)
"""Behind every place of a log."""


class Clock:
    """Time that moves when `ms` is set: Unix milliseconds, and the milliseconds of a clock that nobody can set."""

    def __init__(self) -> None:
        self.ms = START_MS
        self.stepped_ms = 0
        """By how much the wall clock was set forward."""

    def __call__(self) -> int:
        return self.ms + self.stepped_ms

    def monotonic(self) -> int:
        return self.ms - START_MS


def line(number: int) -> bytes:
    """One event."""
    return b'{"n":%d}\n' % number


def lines(numbers: Iterable[int]) -> bytes:
    """Events, one a line."""
    return b"".join(map(line, numbers))


def numbers(steps: Iterable[Block | Damage]) -> list[int]:
    """The events of blocks, and in the place of each that is lost, 0."""
    found: list[int] = []
    for step in steps:
        if isinstance(step, Damage):
            found += [0] * step.lost
        else:
            found += [json.loads(text)["n"] for text in step.payload.splitlines()]
    return found


def read_steps(directory: str, start: Position | None = None, limit: Position | None = None) -> list[Block | Damage]:
    """All blocks and all damage from `start`, or from the oldest, up to the end or to `limit`."""
    start = start or LogFolder(FILES, directory).oldest()
    assert start, "no log"
    reader = Reader(LogFolder(FILES, directory), start)
    try:
        return list(read_all(reader, limit))
    finally:
        reader.close()


def read_blocks(directory: str, start: Position | None = None, limit: Position | None = None) -> list[Block]:
    """All blocks of a log that is not damaged."""
    steps = read_steps(directory, start, limit)
    assert damages(steps) == []
    return [step for step in steps if isinstance(step, Block)]


def damages(steps: Iterable[Block | Damage]) -> list[Damage]:
    """The damage among what was read."""
    return [step for step in steps if isinstance(step, Damage)]


def events(directory: str) -> list[int]:
    """All events of a log, 0 for each that is lost."""
    return numbers(read_steps(directory))


def segments(directory: str) -> list[Path]:
    """The files of a log's segments, oldest first."""
    return [Path(directory, str(name)) for name in LogFolder(FILES, directory).segments()]


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
