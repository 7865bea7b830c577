"""The tools close every segment that they open, also where they end early."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from tests.wal.logs import FILES, Clock, damage, line, lines, segments
from wal.errors import Broken
from wal.folder import LogFolder
from wal.log import Log
from wal.tools.follow import Follower
from wal.tools.repair import plan
from wal.tools.select import Selection
from wal.tools.verify import verify


@pytest.fixture
def folder(directory: str, clock: Clock) -> LogFolder:
    """Twenty events, each in a segment of its own."""
    with closing(Log(directory, clock=clock, monotonic=clock.monotonic)) as log:
        for number in range(1, 21):
            log.commit(lines([number]), 1)
            clock.ms += 60_000
    return LogFolder(FILES, directory)


def _open_segments(folder: LogFolder) -> list[str]:
    """The segments of a log that this process has open."""
    links = [os.readlink(link) for link in Path("/proc/self/fd").iterdir() if os.path.lexists(link)]
    return [link for link in links if link.startswith(folder.path)]


@contextmanager
def _follower(folder: LogFolder) -> Iterator[Follower]:
    with closing(Follower(FILES, folder.path, Selection(), is_raw=True)) as follower:
        yield follower
    assert _open_segments(folder) == []


@pytest.mark.parametrize("count", [0, 1, 15, 50])
def test_the_last_lines_keep_one_segment_open(folder: LogFolder, count: int) -> None:
    with _follower(folder) as follower:
        assert follower.last_lines(count) == [line(number) for number in range(max(1, 21 - count), 21)]
        assert len(_open_segments(folder)) == 1
        assert list(follower.new_lines()) == []


def test_a_follower_that_is_closed_early_keeps_no_segment_open(folder: LogFolder) -> None:
    with _follower(folder) as follower:
        assert next(follower.new_lines()) == line(1)


def test_an_event_of_a_segment_that_begins_while_the_last_lines_are_read_is_printed(
    folder: LogFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed, list_segments = [folder.segments()], LogFolder.segments
    with closing(Log(folder.path)) as log:
        log.commit(line(21), 1)
        monkeypatch.setattr(LogFolder, "segments", lambda folder: listed.pop() if listed else list_segments(folder))
        with closing(Follower(FILES, folder.path, Selection(), is_raw=True)) as follower:
            found = follower.last_lines(3)
            assert [*found, *follower.new_lines()] == [line(number) for number in (19, 20, 21)]


def test_verify_that_is_not_read_to_its_end_keeps_no_segment_open(folder: LogFolder) -> None:
    damage(segments(folder.path)[3], 300)

    def fail(_: object) -> None:
        raise ZeroDivisionError

    with suppress(ZeroDivisionError):
        list(verify(folder, fail))
    assert _open_segments(folder) == []


@pytest.mark.parametrize("is_foreign", [False, True])
def test_the_plan_of_a_repair_keeps_no_segment_open(folder: LogFolder, is_foreign: bool) -> None:
    paths = segments(folder.path)
    if is_foreign:
        with closing(Log(f"{folder.path}-2")) as other:
            other.commit(line(4), 1)
        paths[3].write_bytes(segments(f"{folder.path}-2")[0].read_bytes())
    else:
        damage(paths[3], 300)
    with suppress(Broken):
        plan(folder)
    assert _open_segments(folder) == []
