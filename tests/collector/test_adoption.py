"""Shards that nobody holds: found, shipped, and left alone where that can't go on."""

import asyncio
import re
from pathlib import Path

import pytest

from collector import adoption
from collector.adoption import adopt_orphans, orphans
from collector.config import Settings, load_settings
from collector.ship.batch import Event
from collector.ship.circuit import load_health
from tests.destinations.files import contents_of, lines_in
from tests.running import PATIENCE_SECONDS
from wal.log import Log

_SETTINGS = """
[log]
min_free_bytes = 0
[[sink]]
type = "file"
dir = "events"
flush_seconds = 0.05
"""
_LINE = b'{"n":1}\n'


class _NoGraveyard:
    async def bury(self, sink: str, event: Event, reason: str, *, maybe_again: bool) -> None:
        raise AssertionError(sink, event, reason, maybe_again)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "collector.toml").write_text(_SETTINGS)
    return load_settings(str(tmp_path / "collector.toml"))


@pytest.fixture
def shard(settings: Settings) -> Path:
    """A shard with an event that the sink has not."""
    path = Path(settings.log.dir, "00")
    _append(path)
    return path


def _append(shard: Path) -> None:
    log = Log(str(shard), min_free_bytes=0)
    log.commit(_LINE, 1)
    log.close()


class _Looks:
    """Counts how often orphans are looked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        monkeypatch.setattr(adoption, "orphans", self._look)

    def _look(self, settings: Settings) -> set[str]:
        self.count += 1
        return orphans(settings)

    async def pass_by(self, count: int) -> None:
        """Return after so many more."""
        until = self.count + count
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.count < until:
                await asyncio.sleep(0.01)


async def _adopt(settings: Settings, looks: _Looks, count: int) -> None:
    task = asyncio.create_task(adopt_orphans(settings, _NoGraveyard(), 0.01))
    try:
        await looks.pass_by(count)
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.wait([task])


def test_an_orphan_is_shipped_and_again_when_it_is_one_again(
    settings: Settings, shard: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = _Looks(monkeypatch)
    for events in (1, 2):
        asyncio.run(_adopt(settings, looks, 5))
        assert lines_in(contents_of(Path(settings.sink[0].dir))) == [_LINE[:-1]] * events  # type: ignore[union-attr]
        assert orphans(settings) == set()
        _append(shard)


def test_an_orphan_whose_sink_stopped_is_adopted_once(
    settings: Settings, shard: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looks = _Looks(monkeypatch)
    asyncio.run(_adopt(settings, looks, 5))
    (mark,) = Path(settings.sink[0].dir, "_tracklog").glob("*.json")  # type: ignore[union-attr]
    mark.write_text(re.sub(r'"chain":"[0-9a-f]+"', '"chain":"00000000"', mark.read_text()))
    _append(shard)
    before = len(list(shard.glob("seg-*")))
    caplog.clear()
    asyncio.run(_adopt(settings, looks, 12))
    health = load_health(str(shard), "file")
    assert health
    assert (health.state, "was it restored" in health.error) == ("stopped", True)
    assert sum("stopped" in message for message in caplog.messages) == 1
    assert len(list(shard.glob("seg-*"))) == before + 1


def test_what_cannot_be_looked_at_ends_no_looking(
    settings: Settings, shard: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (shard / "LOCK").unlink()
    (shard / "LOCK").mkdir()
    looks = _Looks(monkeypatch)
    asyncio.run(_adopt(settings, looks, 3))
    assert f"{shard}: this shard can't be looked at: " in caplog.text
    shard.parent.rename(shard.parent.with_name("away"))
    shard.parent.write_text("no folder")
    asyncio.run(_adopt(settings, looks, 3))
    assert "no shard is looked at: " in caplog.text
