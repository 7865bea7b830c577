"""Shards that nobody holds: found, shipped, and left alone where that can't go on."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from collector.dedup.index import open_index
from collector.settings import Settings, load_settings
from collector.shards import adoption
from collector.shards.adoption import Rest, adopt_orphans, orphans, rest_after
from collector.ship.batch import Record
from collector.ship.health import load_health
from tests.destinations.files import contents_of, lines_in
from tests.running import PATIENCE_SECONDS
from wal.errors import LogLocked
from wal.files import Files
from wal.folder import LogFolder
from wal.log import Log

_SETTINGS = """
[log]
min_free_bytes = 0
[[sink]]
type = "file"
dir = "events"
flush_seconds = 0.05
"""
_DOWN_SINK = """
[[sink]]
type = "file"
name = "down"
dir = "taken/down"
flush_seconds = 0.05
"""
_LINE = b'{"n":1}\n'


class _NoDeadLetters:
    async def put(self, sink: str, event: Record, reason: str, *, maybe_again: bool) -> None:
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

    def _look(self, settings: Settings) -> dict[str, frozenset[str]]:
        self.count += 1
        return orphans(settings)

    async def pass_by(self, count: int) -> None:
        """Return after so many more."""
        until = self.count + count
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.count < until:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def _adopting(settings: Settings) -> AsyncIterator[None]:
    index = open_index(settings.dedup)
    task = asyncio.create_task(adopt_orphans(settings, _NoDeadLetters(), index, 0.01))
    try:
        yield
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.wait([task])
        index.close()


async def _until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not is_so():
            await asyncio.sleep(0.01)


def _delivered(settings: Settings) -> int:
    return len(lines_in(contents_of(Path(settings.sink[0].dir))))  # type: ignore[attr-defined]


def _is_free(shard: Path) -> bool:
    """Whether nobody holds the shard, not even for a look."""
    folder = LogFolder(Files(), str(shard))
    try:
        folder.files.close(folder.lock())
    except LogLocked:
        return False
    return True


def test_an_orphan_is_shipped_and_again_when_it_is_one_again(settings: Settings, shard: Path) -> None:
    async def adopt(events: int) -> None:
        async with _adopting(settings):
            await _until(lambda: _delivered(settings) == events and _is_free(shard))

    for events in (1, 2):
        asyncio.run(adopt(events))
        assert lines_in(contents_of(Path(settings.sink[0].dir))) == [_LINE[:-1]] * events  # type: ignore[attr-defined]
        assert orphans(settings) == {}
        _append(shard)


def test_an_orphan_whose_sink_stopped_is_adopted_once(
    settings: Settings, shard: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def adopt() -> None:
        async with _adopting(settings):
            await _until(lambda: _delivered(settings) == 1 and _is_free(shard))

    def is_stopped() -> bool:
        health = load_health(str(shard), "file")
        return health is not None and health.state == "stopped" and _is_free(shard)

    async def adopt_again() -> None:
        async with _adopting(settings):
            await _until(is_stopped)
            await looks.pass_by(5)

    looks = _Looks(monkeypatch)
    asyncio.run(adopt())
    (mark,) = Path(settings.sink[0].dir, "_tracklog").glob("*.json")  # type: ignore[attr-defined]
    mark.write_text(re.sub(r'"chain":"[0-9a-f]+"', '"chain":"00000000"', mark.read_text()))
    _append(shard)
    before = len(list(shard.glob("seg-*")))
    caplog.clear()
    asyncio.run(adopt_again())
    health = load_health(str(shard), "file")
    assert health
    assert (health.state, "was it restored" in health.error) == ("stopped", True)
    assert sum("stopped" in message for message in caplog.messages) == 1
    assert len(list(shard.glob("seg-*"))) == before + 1


@pytest.fixture
def half_down(settings: Settings, tmp_path: Path) -> Settings:
    """Settings with a sink that fails until the file `taken` is gone."""
    (tmp_path / "taken").write_text("no folder, so nothing can be put below it")
    (tmp_path / "collector.toml").write_text(_SETTINGS + _DOWN_SINK)
    return load_settings(str(tmp_path / "collector.toml"))


def _appends(shard: Path) -> bool:
    """Append an event, unless the shard is held, which it also is for a moment at each look."""
    try:
        _append(shard)
    except LogLocked:
        return False
    return True


def test_a_sink_that_is_down_keeps_no_orphan_from_the_sinks_that_are_up(half_down: Settings) -> None:
    shards = [Path(half_down.log.dir, name) for name in ("00", "01", "02")]
    for shard in shards:
        _append(shard)

    async def run() -> None:
        async with _adopting(half_down):
            await _until(lambda: _delivered(half_down) == len(shards))

    asyncio.run(run())
    assert all("down" in behind for behind in orphans(half_down).values())
    assert all(map(_appends, shards)), "a stop lets go of every adopted shard"


def test_an_orphan_is_let_go_of_when_only_a_sink_that_is_down_is_behind_and_rests(
    half_down: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    looks, shard = _Looks(monkeypatch), Path(half_down.log.dir, "00")
    _append(shard)

    def count(words: str) -> int:
        return sum(words in message for message in caplog.messages)

    async def run() -> None:
        async with _adopting(half_down):
            await _until(lambda: count("behind: sink down; adopted again in 60 s"))
            await looks.pass_by(5)
            assert count(f"{shard}: adopted") == 1
            await _until(lambda: _appends(shard))  # the sink that is up need not wait for the end of the pause
            await _until(lambda: count("behind: sink down; adopted again in 120 s"))
            assert _delivered(half_down) == 2

    asyncio.run(run())


def test_pauses_between_adoptions_grow_to_ten_minutes_and_end_for_a_sink_that_was_up() -> None:
    down, rest, pauses = frozenset({"down"}), None, []
    for _ in range(6):
        rest = rest_after(down, rest, 100.0)
        assert rest
        pauses.append(rest.seconds)
    assert pauses == [60, 120, 240, 480, 600, 600]
    assert rest == Rest(down, 600, 700)
    assert [rest.holds(down, now) for now in (699, 700)] == [True, False]
    assert not rest.holds(down | {"up"}, 699)
    assert rest_after(frozenset(), rest, 100.0) is None


def test_a_file_beside_the_shards_is_passed_over(
    settings: Settings, shard: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (shard.parent / "control.sock").touch()
    assert orphans(settings) == {str(shard): frozenset({"file"})}
    assert caplog.messages == []


def test_what_cannot_be_looked_at_ends_no_looking(
    settings: Settings, shard: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def look() -> None:
        async with _adopting(settings):
            await looks.pass_by(3)

    (shard / "LOCK").unlink()
    (shard / "LOCK").mkdir()
    looks = _Looks(monkeypatch)
    asyncio.run(look())
    assert f"{shard}: this shard can't be looked at: " in caplog.text
    shard.parent.rename(shard.parent.with_name("away"))
    shard.parent.write_text("no folder")
    asyncio.run(look())
    assert "no shard is looked at: " in caplog.text


def test_a_file_among_the_shards_is_no_shard_and_no_fault(
    settings: Settings, shard: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (shard.parent / "control.sock").touch()
    assert list(orphans(settings)) == [str(shard)]
    assert caplog.records == []
