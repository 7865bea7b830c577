"""A worker opens its logs as soon as it can: it waits for what passes, and what is open stays open."""

import asyncio
import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from collector.dedup.index import DedupIndex
from collector.ops.counters import CounterBlock
from collector.ops.notices import Notices
from collector.settings import DeadLetterSettings, DedupSettings, LogSettings, Settings, load_settings
from collector.shards import opening
from collector.shards.opening import Opening
from collector.shards.shard import Shard, first_free, open_log
from wal.errors import LogLocked
from wal.log import Log

_PASSING = [errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE]


def _settings(folder: Path) -> Settings:
    return Settings(
        log=LogSettings(dir=str(folder / "log")),
        dead_letters=DeadLetterSettings(dir=str(folder / "dead")),
        dedup=DedupSettings(dir=str(folder / "dedup"), bytes=16 << 20),
    )


def _never(fault: Exception) -> None:
    raise AssertionError(fault)


def _failing(number: int, times: int, then: Callable[..., object]) -> Callable[..., object]:
    """Raises that error so many times, and does then what it should."""
    left = [times]

    def call(*arguments: object) -> object:
        if left[0]:
            left[0] -= 1
            raise OSError(number, os.strerror(number), "a file")
        return then(*arguments)

    return call


@pytest.mark.parametrize("number", _PASSING)
@pytest.mark.parametrize("step", ["load_secret", "first_free", "open_log"])
def test_a_passing_fault_is_waited_for_and_logged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, step: str, number: int
) -> None:
    monkeypatch.setattr(opening, step, _failing(number, 3, getattr(opening, step)))

    async def run() -> None:
        opened = Opening(_settings(tmp_path), lambda: 0, Notices(), CounterBlock.create(), _never)
        assert [opened.open_files() for _ in range(3)] == [None, None, None]
        logs = opened.open_files()
        assert logs is not None
        assert [log.end.segment for log in logs[:2]] == [1, 1], "each attempt began a segment"
        assert opened.build(logs) is not None
        await opened.close()

    asyncio.run(run())
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert caplog.messages[0].startswith("the log can't be opened yet, so every event gets 503: a file: ")


def test_a_fault_that_needs_a_person_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "first_free", _failing(errno.EROFS, 1, first_free))
    with pytest.raises(OSError, match="Read-only file system"):
        Opening(_settings(tmp_path), lambda: 0, Notices(), CounterBlock.create(), _never).open_files()


def test_what_was_opened_and_not_used_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "open_log", _failing(errno.ENOSPC, 1, open_log))

    async def run() -> None:
        opened = Opening(_settings(tmp_path), lambda: 0, Notices(), CounterBlock.create(), _never)
        assert opened.open_files() is None
        with pytest.raises(LogLocked):
            Log(str(tmp_path / "log/00"))
        await opened.close()
        Log(str(tmp_path / "log/00")).close()

    asyncio.run(run())


def test_a_cursor_that_finds_no_room_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "collector.toml").write_text('[[sink]]\ntype = "file"\ndir = "events"\n')
    monkeypatch.setattr(opening, "Shard", _failing(errno.ENOSPC, 2, Shard))

    async def run() -> None:
        opened = Opening(
            load_settings(str(tmp_path / "collector.toml")), lambda: 0, Notices(), CounterBlock.create(), _never
        )
        logs = opened.open_files()
        assert logs is not None
        assert [opened.build(logs) for _ in range(2)] == [None, None]
        assert opened.build(logs) is not None
        await opened.close()

    asyncio.run(run())


def test_an_index_that_could_not_be_completed_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    completed: list[DedupIndex] = []

    def complete(index: DedupIndex, settings: Settings, now_ms: int) -> None:
        completed.append(index)

    monkeypatch.setattr(opening, "complete", _failing(errno.EMFILE, 1, complete))

    async def run() -> None:
        opened = Opening(_settings(tmp_path), lambda: 0, Notices(), CounterBlock.create(), _never)
        assert opened.open_files() is None
        files = opened.open_files()
        assert files is not None
        assert completed == [files.ids]
        await opened.close()

    asyncio.run(run())
