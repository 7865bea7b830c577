"""The reader across segments: follows a live log, begins anywhere, skips what is void, and stops at damage."""

import errno
import os
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import pairwise

import pytest

from tests.running import PATIENCE_SECONDS
from tests.wal.faulty_files import FaultyFiles
from tests.wal.logs import (
    FILES,
    FOREVER,
    Clock,
    damage,
    damages,
    events,
    line,
    lines,
    numbers,
    read_blocks,
    read_steps,
    segments,
)
from wal.errors import Broken, LogFull, MissingSegment
from wal.folder import LogFolder
from wal.format import HEADER_BYTES, Position
from wal.log import Log
from wal.reader import Reader, block_of
from wal.segment import Block

_START = Position(1, HEADER_BYTES, 1)
_SMALL = 500
"""Bytes of a segment that holds two or three of these blocks."""


@pytest.fixture
def log(directory: str, files: FaultyFiles, clock: Clock) -> Iterator[Log]:
    with closing(Log(directory, files=files, clock=clock, monotonic=clock.monotonic, segment_bytes=_SMALL)) as log:
        yield log


@pytest.fixture
def reader(log: Log) -> Iterator[Reader]:
    with closing(Reader(log.folder, _START)) as reader:
        yield reader


def _fill(log: Log, *, until: int) -> None:
    """Blocks of one, two and three events, over several segments."""
    while (first := log.end.sequence) < until:
        last = min(first + first % 3, until - 1)
        log.commit(lines(range(first, last + 1)), last + 1 - first)


def test_the_block_of_an_event_is_found_in_whatever_segment_it_is(log: Log) -> None:
    _fill(log, until=40)
    for block in read_blocks(log.folder.path):
        for sequence in range(block.start.sequence, block.end.sequence):
            assert block_of(log.folder, sequence, log.end) == block
    assert block_of(log.folder, 40, log.end) is None
    assert block_of(log.folder, 0, log.end) is None


def test_an_event_that_was_dropped_or_damaged_has_no_block(log: Log) -> None:
    _fill(log, until=40)
    first, second = segments(log.folder.path)[:2]
    lost = next(block for block in read_blocks(log.folder.path) if block.header.segment == 2)
    damage(second, lost.header.offset + HEADER_BYTES)
    assert block_of(log.folder, lost.start.sequence, log.end) is None
    first.unlink()
    assert block_of(log.folder, 1, log.end) is None


def test_the_oldest_place_is_the_start_of_the_first_segment_that_is_left(log: Log, directory: str) -> None:
    assert LogFolder(FILES, f"{directory}/nowhere").oldest() is None
    assert LogFolder(FILES, directory).oldest() == _START
    _fill(log, until=20)
    segments(directory)[0].unlink()
    second = LogFolder(FILES, directory).oldest()
    assert second is not None
    assert (second.segment, second.offset) == (2, HEADER_BYTES)
    assert events(directory) == list(range(second.sequence, 20))


def test_a_reader_sees_every_block_right_after_its_commit_across_rotations(log: Log, reader: Reader) -> None:
    assert reader.next() is None
    for number in range(1, 30):
        log.commit(line(number), 1)
        block = reader.next()
        assert isinstance(block, Block)
        assert numbers([block]) == [number]
        assert reader.position == block.end == log.end
        assert reader.next() is None
    assert reader.position.segment > 5


def test_a_reader_honours_its_limit_wherever_it_is(log: Log, reader: Reader) -> None:
    places = [log.end]
    for number in range(1, 12):
        log.commit(line(number), 1)
        places.append(log.end)
    for at, limit in enumerate(places):
        seen = numbers(read_blocks(log.folder.path, limit=limit))
        assert seen == list(range(1, at + 1))
        assert reader.next(places[0]) is None
    assert numbers(iter(lambda: reader.next(places[4]), None)) == [1, 2, 3, 4]
    assert reader.next(places[4]) is None
    assert numbers(iter(lambda: reader.next(FOREVER), None)) == list(range(5, 12))


def test_a_reader_begins_at_any_place_between_two_blocks(log: Log) -> None:
    _fill(log, until=40)
    blocks = read_blocks(log.folder.path)
    assert blocks[-1].header.segment > 3
    for before, after in pairwise(blocks):
        for place in {before.end, after.start}:  # they differ where a segment ends
            rest = read_blocks(log.folder.path, place)
            assert numbers(rest) == list(range(place.sequence, 40))
    assert read_blocks(log.folder.path, blocks[-1].end) == []


def test_a_reader_follows_a_log_that_another_thread_writes(directory: str) -> None:
    log = Log(directory, segment_bytes=_SMALL)
    writer = threading.Thread(target=lambda: _fill(log, until=600))
    seen: list[int] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    with closing(log), closing(Reader(LogFolder(FILES, directory), _START)) as reader:
        writer.start()
        while len(seen) < 599 and time.monotonic() < deadline:
            if block := reader.next():
                seen += numbers([block])
        writer.join()
    assert seen == list(range(1, 600))


@pytest.mark.parametrize("looks", range(4))
def test_a_block_and_a_rotation_that_come_between_two_looks_are_not_missed(
    directory: str, files: FaultyFiles, looks: int
) -> None:
    """The reader sees no block; then, at one of its looks at the directory, the writer has gone on by some segments."""
    with (
        closing(Log(directory, segment_bytes=_SMALL)) as log,
        closing(Reader(LogFolder(files, directory), _START)) as reader,
    ):

        def write_at(look: int) -> None:
            files.on_names = (lambda: write_at(look - 1)) if look else (lambda: _fill(log, until=20))

        write_at(looks)
        seen: list[int] = []
        for _ in range(30):  # more turns than there are blocks
            if step := reader.next():
                seen += numbers([step])
        assert seen == list(range(1, 20))
        assert reader.position == log.end


@pytest.mark.parametrize("written", [1, HEADER_BYTES, HEADER_BYTES + 3])
def test_what_a_failed_write_left_in_a_segment_is_skipped(
    log: Log, reader: Reader, files: FaultyFiles, written: int
) -> None:
    log.commit(line(1), 1)
    files.longest_write = written
    files.fail("write", errno.ENOSPC, after=1)
    with pytest.raises(LogFull):
        log.commit(line(0), 1)
    files.heal()
    assert numbers(iter(reader.next, None)) == [1]
    log.commit(line(2), 1)
    assert numbers(iter(reader.next, None)) == [2]
    assert events(log.folder.path) == [1, 2]


def test_bytes_that_are_no_block_are_skipped_once_a_successor_says_that_they_are_void(log: Log, clock: Clock) -> None:
    log.commit(line(1), 1)
    clock.ms += 60_000
    log.commit(line(2), 1)
    for path, is_void in zip(segments(log.folder.path), (True, False), strict=True):
        with path.open("ab") as file:
            file.write(bytes(1000))
        if is_void:
            assert events(log.folder.path) == [1, 2]
        else:
            assert events(log.folder.path) == [1, 2], "they may still be written"
            (found,) = damages(read_steps(log.folder.path, limit=log.end._replace(offset=log.end.offset + 1000)))
            assert (found.start, found.lost) == (log.end, 0)


# Damage


def _broken(log: Log) -> str:
    """Why a reader from the start can't go on."""
    with pytest.raises(Broken) as caught:
        events(log.folder.path)
    return str(caught.value)


def test_any_flipped_bit_loses_the_events_of_its_block_alone(directory: str, clock: Clock) -> None:
    """Every byte of every segment, those of headers, sealed segments and the idle block included."""
    with closing(Log(directory, clock=clock, monotonic=clock.monotonic, segment_bytes=_SMALL)) as log:
        for first, count in ((1, 2), (3, 1), (4, 3), (7, 2)):
            log.commit(lines(range(first, first + count)), count)
    blocks = [(block.start.segment, block.header.offset, block.header.end, block) for block in read_blocks(directory)]
    assert len(segments(directory)) > 1
    for segment in segments(directory):
        number, whole = int(segment.name.split("-")[1]), segment.read_bytes()
        for offset in range(len(whole)):
            damage(segment, offset)
            hit = [block for at, start, end, block in blocks if at == number and start <= offset < end]
            expected = [0 if block in hit else n for *_, block in blocks for n in numbers([block])]
            assert events(directory) == expected, (segment, offset)
            segment.write_bytes(whole)


def test_blocks_that_a_sealed_segment_has_lost_are_damage(log: Log) -> None:
    _fill(log, until=20)
    first = [block for block in read_blocks(log.folder.path) if block.header.segment == 1]
    path = segments(log.folder.path)[0]
    for end in (HEADER_BYTES, first[-1].header.offset, first[-1].header.offset + 10, first[-1].header.end - 1):
        with path.open("r+b") as file:
            content = file.read()
            file.truncate(end)
        (found,) = damages(read_steps(log.folder.path))
        assert found.start == (first[0] if end == HEADER_BYTES else first[-1]).start
        assert found.end.sequence == first[-1].end.sequence
        path.write_bytes(content)


def test_a_lost_segment_is_corrupt_for_who_was_in_it(log: Log) -> None:
    _fill(log, until=20)
    place = next(block.start for block in read_blocks(log.folder.path) if block.header.segment == 2)
    segments(log.folder.path)[1].unlink()
    for start in (None, place):
        with pytest.raises(MissingSegment, match="expected segment 2, found no such file; restore it, or run `wal"):
            read_blocks(log.folder.path, start)


def _twin(log: Log, clock: Clock, events_: Iterable[int]) -> str:
    """Fill `log` with events 1 to 8, and a log of the same identity, numbers, sizes and times with these others."""
    directory = f"{log.folder.path}-twin"
    os.mkdir(directory)
    shutil.copy(f"{log.folder.path}/log.json", directory)
    with closing(Log(directory, clock=clock, monotonic=clock.monotonic, segment_bytes=_SMALL)) as twin:
        for mine, other in zip(range(1, 9), events_, strict=True):
            log.commit(line(mine), 1)
            twin.commit(line(other), 1)
    return directory


def test_the_same_events_at_the_same_times_make_the_same_bytes(log: Log, clock: Clock) -> None:
    twin = _twin(log, clock, range(1, 9))
    for path, other in zip(segments(log.folder.path)[:-1], segments(twin), strict=False):
        assert path.read_bytes() == other.read_bytes()


def test_a_swapped_segment_breaks_the_chain(log: Log, clock: Clock) -> None:
    twin = _twin(log, clock, range(9, 1, -1))
    shutil.copy(segments(twin)[1], segments(log.folder.path)[1])
    assert "at byte 0: expected sequence 4 after header" in _broken(log)


def test_a_swapped_block_breaks_the_chain_at_the_place_where_it_was_put(log: Log, clock: Clock) -> None:
    twin = _twin(log, clock, range(9, 1, -1))
    start, end = (block.header.offset for block in read_blocks(twin)[1:3])
    damage(segments(log.folder.path)[0], start, segments(twin)[0].read_bytes()[start:end])
    assert f"at byte {start}: expected sequence 2 after header" in _broken(log)
