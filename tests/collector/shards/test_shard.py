"""A shard: what all of its sinks have leaves memory, or a disk that is short, and not before."""

import asyncio
import os
from pathlib import Path

import pytest

from collector.settings import load_settings
from collector.shards.shard import Shard, drop_from_free_shards
from collector.ship.batch import Record
from tests.running import PATIENCE_SECONDS
from wal.cursor import Cursor
from wal.files import Files, Room
from wal.format import HEADER_BYTES
from wal.log import Log

_SETTINGS = """
[[sink]]
type = "file"
name = "healthy"
dir = "healthy"
flush_seconds = 0.1

[[sink]]
type = "file"
name = "down"
dir = "file/down"
flush_seconds = 0.1
"""


class _Forgetting(Files):
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.lengths: list[int] = []
        """Of each range: its end in the file."""
        self.early: list[int] = []
        """Those of them that came when a sink had nothing."""

    def forget_cache(self, descriptor: int, offset: int = 0, length: int = 0) -> None:
        super().forget_cache(descriptor, offset, length)
        if "/log/" in os.readlink(f"/proc/self/fd/{descriptor}"):
            self.lengths.append(offset + length)
            if not all(_delivered(self._folder / sink) for sink in ("healthy", "file/down")):
                self.early.append(offset + length)


class _NoDeadLetters:
    async def put(self, sink: str, event: Record, reason: str, *, maybe_again: bool) -> None:
        raise AssertionError(sink, event, reason, maybe_again)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "collector.toml").write_text(_SETTINGS)
    (tmp_path / "file").write_text("no folder, so nothing can be put below it")
    return tmp_path


def _delivered(folder: Path) -> list[Path]:
    return list(folder.glob("date=*/**/*.zst"))


def test_what_every_sink_has_leaves_memory_and_not_before(folder: Path) -> None:
    files = _Forgetting(folder)

    async def run() -> None:
        log = Log(str(folder / "log/00"), files=files)
        shard = Shard(load_settings(str(folder / "collector.toml")), log, _NoDeadLetters())
        shard.start()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await shard.committer.append(b'{"n":1}\n')
                while not _delivered(folder / "healthy"):
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.6)  # twice as long as it takes to look at what may go
                (folder / "file").unlink()
                while not files.lengths:
                    await asyncio.sleep(0.01)
        finally:
            await shard.close(0)

    asyncio.run(run())
    assert files.early == []
    assert files.lengths[0] == 2 * HEADER_BYTES + len('{"n":1}\n')


class _ShortDisk(Files):
    """A disk that lacks the bytes of a few events; what is deleted adds nothing, as on one that others fill."""

    def room(self, path: str) -> Room:
        return Room((32 << 20) - 500, 0, 1 << 40, 0)


def _numbers(log: Log) -> list[int]:
    return [name.number for name in log.folder.segments()]


def test_a_short_disk_gets_what_every_sink_has_at_once_and_nothing_else(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        log = Log(str(folder / "log/00"), files=_ShortDisk(), segment_bytes=1)
        shard = Shard(load_settings(str(folder / "collector.toml")), log, _NoDeadLetters())
        shard.start()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                for number in range(5):
                    await shard.committer.append(b'{"n":%d}\n' % number)
                while not _delivered(folder / "healthy"):
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.6)  # twice as long as it takes to look at what may go
                assert _numbers(log)[:5] == [1, 2, 3, 4, 5]
                (folder / "file").unlink()
                while _numbers(log)[0] < 5:  # where the cursors are in the end
                    await asyncio.sleep(0.01)
        finally:
            await shard.close(0)

    asyncio.run(run())
    messages = [message for message in caplog.messages if "the disk is short" in message]
    assert sum(int(message.split("short: ")[1].split()[0]) for message in messages) == 4


def test_a_short_disk_gets_delivered_segments_of_shards_that_nobody_holds(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(str(folder / "collector.toml"))
    logs = [Log(f"{settings.log.dir}/{number:02d}", segment_bytes=1) for number in range(2)]
    for log in logs:
        for number in range(3):
            log.commit(b'{"n":%d}\n' % number, 1)
        for sink in settings.sink:
            log.folder.save_cursor(sink.name, Cursor(log.end))
    logs[0].close()
    monkeypatch.setattr(Files, "room", _ShortDisk.room)
    before = [_numbers(log) for log in logs]
    drop_from_free_shards(settings)
    assert [_numbers(log) for log in logs] == [before[0][2:], before[1]]
    logs[1].close()
