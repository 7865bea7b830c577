"""The count of new dead letters: each once, whatever becomes of the segments between two readings."""

import os
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import pytest

from collector.ops.console.node.disk import DiskWatch
from tests.collector.ops.console.looked_up import LookedUp
from tests.wal.logs import damage, lines
from wal.log import Log, now_ms

_IDLE: Iterator[float] = repeat(0.0)
"""The clock of a thread that never computes."""


@pytest.fixture
def node(tmp_path: Path) -> LookedUp:
    node = LookedUp(tmp_path)
    node.write()
    return node


@pytest.fixture
def log(node: LookedUp) -> Iterator[Log]:
    """The dead letters of worker 0."""
    log = Log(str(node.folder / "data/dead/00"))
    yield log
    log.close()


def _watch(node: LookedUp, cpu_seconds: Iterator[float] = _IDLE) -> DiskWatch:
    return DiskWatch(node.settings, lambda: 0.0, lambda: next(cpu_seconds))


def _dead(watch: DiskWatch) -> int | None:
    return watch.read(["00"]).dead


def _commit(log: Log, *counts: int) -> None:
    for count in counts:
        log.commit(lines(range(count)), count)


def _add_segment(log: Log, *counts: int) -> None:
    """Commit in a new segment, as after a restart of the worker."""
    log.close()
    again = Log(log.folder.path)
    _commit(again, *counts)
    again.close()


def test_letters_are_counted_once_across_logs_and_segments(node: LookedUp, log: Log) -> None:
    watch = _watch(node)
    assert [_dead(watch), _dead(watch)] == [0, 0]
    _commit(log, 3, 2)
    node.append_dead("{", shard="01", ms=now_ms())
    assert [_dead(watch), _dead(watch)] == [6, 6]
    _commit(log, 1)
    _add_segment(log, 4, 5)
    assert [_dead(watch), _dead(watch)] == [16, 16]


def test_letters_of_another_day_are_not_counted(node: LookedUp) -> None:
    node.append_dead("{", "{", ms=now_ms() - 25 * 3_600_000)
    node.append_dead("{", ms=now_ms() - 23 * 3_600_000)
    assert _dead(_watch(node)) == 1


@pytest.mark.parametrize("at", [0, 3])
def test_after_damage_the_count_goes_on(node: LookedUp, log: Log, at: int) -> None:
    watch = _watch(node)
    _commit(log, 3)
    place = log.end
    assert _dead(watch) == 3
    _commit(log, 4, 5)
    damage(Path(log.folder.segment_file(log.folder.segments()[0])), place.offset + at)
    assert [_dead(watch), _dead(watch)] == [8, 8]
    _add_segment(log, 6)
    assert [_dead(watch), _dead(watch)] == [14, 14]


@pytest.mark.parametrize("is_before", [False, True])
def test_segments_that_retention_dropped_are_passed_over(node: LookedUp, log: Log, is_before: bool) -> None:
    watch = _watch(node)
    _commit(log, 3)
    if is_before:
        assert _dead(watch) == 3
    _add_segment(log, 4)
    _add_segment(log, 5)
    for name in log.folder.segments()[:-1]:
        Path(log.folder.segment_file(name)).unlink()
    expected = 8 if is_before else 5
    assert [_dead(watch), _dead(watch)] == [expected, expected]


def test_a_reading_ends_in_time_and_the_next_one_goes_on(node: LookedUp, log: Log) -> None:
    _commit(log, 1, 2, 4, 8, 16, 32)
    watch = _watch(node, iter(at * 0.03 for at in range(100)))
    assert [_dead(watch) for _ in range(3)] == [None, 63, 63]
    links = [os.readlink(link) for link in Path("/proc/self/fd").iterdir() if os.path.lexists(link)]
    assert [Path(link).name for link in links if log.folder.path in link and "LOCK" not in link] == [
        str(log.folder.segments()[-1])
    ], "the writer alone has a segment open"
