"""An event is found by bisection: the same event as by reading everything, from a few of the bytes."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.wal.logs import FILES, Clock, damage, damages, line, numbers, read_blocks, segments
from wal.damage import Damage
from wal.files import Files
from wal.folder import LogFolder
from wal.format import HEADER_BYTES
from wal.log import Log
from wal.reader import Reader, read_all
from wal.seek import place_before, place_before_time
from wal.segment import Block

_BLOCKS = 120
_EVENTS = 10


class _CountingFiles(Files):
    """Counts the bytes that are read."""

    total = 0

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        data = super().read(descriptor, length, offset)
        self.total += len(data)
        return data


def _event(number: int) -> bytes:
    return b'{"n":%d,"text":"%b"}\n' % (number, b"x" * 4000)


@pytest.fixture(scope="module")
def log_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A log of a short segment, and one of nearly 5 MB in blocks of 10 events, while it is being written."""
    directory, clock = str(tmp_path_factory.mktemp("seek") / "log"), Clock()
    with closing(Log(directory, clock=clock, monotonic=clock.monotonic)) as log:
        log.commit(line(1) + line(2), 2)
        clock.ms += 60_000
        for first in range(3, _BLOCKS * _EVENTS, _EVENTS):
            log.commit(b"".join(map(_event, range(first, first + _EVENTS))), _EVENTS)
        yield directory


def _found(files: Files, directory: str, sequence: int) -> Block | Damage | None:
    """What the place that is sought for an event leads to."""
    folder = LogFolder(files, directory)
    place = place_before(folder, sequence)
    assert place
    reader = Reader(folder, place)
    try:
        return next((step for step in read_all(reader) if step.end.sequence > sequence), None)
    finally:
        reader.close()


def test_every_event_is_found(log_path: str) -> None:
    for block in read_blocks(log_path):
        for sequence in (block.start.sequence, block.end.sequence - 1):
            assert _found(FILES, log_path, sequence) == block


def test_an_event_is_found_in_a_part_of_the_bytes(log_path: str) -> None:
    for sequence in (3, 600, 1190):
        files = _CountingFiles()
        assert isinstance(_found(files, log_path, sequence), Block)
        assert files.total < segments(log_path)[-1].stat().st_size / 3


def test_no_place_is_before_the_oldest_event_and_the_last_one_is_before_what_is_not_written(log_path: str) -> None:
    assert place_before(LogFolder(FILES, log_path), 0) is None
    assert _found(FILES, log_path, 10**9) is None


def test_a_time_is_found_near_the_first_block_that_is_not_earlier(tmp_path: Path) -> None:
    clock = Clock()
    start = clock.ms
    with closing(Log(str(tmp_path / "log"), clock=clock, monotonic=clock.monotonic)) as log:
        for number in range(300):
            log.commit(_event(number), 1)
            clock.ms += 1000
    folder = LogFolder(FILES, str(tmp_path / "log"))
    assert len(folder.segments()) > 3
    for number in (1, 59, 60, 200, 299):
        place = place_before_time(folder, start + number * 1000)
        assert place
        assert number - 20 < place.sequence <= number + 1
    assert place_before_time(folder, start) is None
    assert place_before_time(folder, start + 10**9) is not None
    places = [place_before_time(folder, start + number * 1000) for number in range(300)]
    for path in segments(folder.path)[1:]:
        damage(path, 5)
    assert [place_before_time(folder, start + number * 1000) for number in range(300)] == places


def test_damage_hides_its_own_events_alone(log_path: str, tmp_path: Path) -> None:
    directory = str(tmp_path / "log")
    Path(directory).mkdir()
    for path in (*segments(log_path), Path(log_path, "log.json")):
        Path(directory, path.name).write_bytes(path.read_bytes())
    blocks = read_blocks(directory)
    for number in (20, 60, 61, 100):
        damage(segments(directory)[1], blocks[number].start.offset + (HEADER_BYTES + 5 if number != 60 else 5))
    lost = set[int]()
    for block in blocks:
        step = _found(FILES, directory, block.start.sequence)
        if isinstance(step, Damage):
            lost |= set(range(step.start.sequence, step.end.sequence))
            assert damages([step])
        else:
            assert step == block
    expected = [number for at in (20, 60, 61, 100) for number in numbers([blocks[at]])]
    assert sorted(lost) == sorted(expected)
