"""Retention may delete segments before a tool has read them: the tool goes on, and takes nothing for damage."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from tests.wal.logs import FILES, Clock, lines, segments
from wal.cursor import Cursor
from wal.files import Files
from wal.folder import LogFolder
from wal.log import Log
from wal.reader import Reader
from wal.segment import Block
from wal.tools import cli
from wal.tools.follow import start_of_selection
from wal.tools.select import Selection
from wal.tools.verify import Finding, read_on, verify


@pytest.fixture
def folder(directory: str, clock: Clock) -> LogFolder:
    """Five events, each in a segment of its own."""
    with closing(Log(directory, clock=clock, monotonic=clock.monotonic)) as log:
        for number in range(1, 6):
            log.commit(lines([number]), 1)
            clock.ms += 60_000
    return LogFolder(FILES, directory)


class _Dropping(Files):
    """Files of a log of whose segments the oldest is deleted whenever it was listed, as long as there are three."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def names(self, directory: str) -> list[str]:
        names = super().names(directory)
        if directory == self._directory and len(there := segments(directory)) > 2:
            there[0].unlink()
        return names


def test_ls_says_which_segment_went_meanwhile(
    folder: LogFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "_FILES", _Dropping(folder.path))
    LogFolder(FILES, folder.path).save_cursor("a", Cursor(folder.segments()[0].start))
    assert cli.main(["ls", "--json", str(Path(folder.path).parent)]) == 0
    rows = map(json.loads, capsys.readouterr().out.splitlines())
    states = [row["state"] for row in rows if row["type"] == "segment"]
    assert states == ["dropped", *["sealed"] * 4, "closed"]


def test_verify_goes_on_when_segments_go(
    folder: LogFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "_FILES", _Dropping(folder.path))
    assert cli.main(["verify", str(Path(folder.path).parent)]) == 0
    assert "retention has deleted events before sequence " in capsys.readouterr().out


def test_a_cursor_in_a_segment_that_was_created_meanwhile_is_no_finding(directory: str, clock: Clock) -> None:
    with closing(Log(directory, clock=clock, monotonic=clock.monotonic)) as log:
        log.commit(lines([1]), 1)

        def go_on(_: Block) -> None:
            if len(segments(directory)) < 3:
                clock.ms += 60_000
                log.commit(lines([2]), 1)
                log.folder.save_cursor("a", Cursor(log.end))

        found = list(verify(LogFolder(FILES, directory), go_on))
    assert [step for step in found if isinstance(step, Finding)] == []


@pytest.mark.parametrize("read", [0, 1])
def test_reading_goes_on_at_the_oldest_segment(folder: LogFolder, read: int) -> None:
    start = folder.oldest()
    assert start is not None
    with closing(Reader(folder, start)) as reader:
        steps = read_on(reader)
        first = [next(steps) for _ in range(read)]
        for path in segments(folder.path)[:3]:
            path.unlink()
        dropped, *rest = steps
    blocks = [step for step in (*first, *rest) if isinstance(step, Block) and step.header.records]
    assert [block.start.sequence for block in blocks] == [1, 4, 5][1 - read :]
    assert isinstance(dropped, Finding)
    assert (dropped.is_damage, dropped.message) == (False, "retention has deleted events before sequence 4 meanwhile")


def test_the_start_of_a_selection_is_found_while_segments_go(
    folder: LogFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = folder.segments()
    for name in names[:3]:
        Path(folder.segment_file(name)).unlink()
    monkeypatch.setattr(LogFolder, "segments", lambda _: names)  # as listed a moment ago
    assert start_of_selection(folder, Selection(since_ms=1)) == names[2].start
