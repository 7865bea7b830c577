"""A shard: what all of its sinks have leaves memory, and not before."""

import asyncio
import os
from pathlib import Path

import pytest

from collector.config import load_settings
from collector.shard import Shard
from collector.ship.batch import Event
from tests.running import PATIENCE_SECONDS
from wal.files import Files
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
            if not all(_delivered(self._folder / each) for each in ("healthy", "file/down")):
                self.early.append(offset + length)


class _NoGraveyard:
    async def bury(self, sink: str, event: Event, reason: str, *, maybe_again: bool) -> None:
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
        shard = Shard(load_settings(str(folder / "collector.toml")), log, _NoGraveyard())
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
