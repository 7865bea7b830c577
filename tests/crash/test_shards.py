"""Shards and the workers that hold them: one writer each, and none is forgotten."""

from pathlib import Path

import pytest

from collector.settings import LogSettings, Settings
from collector.shards.adoption import orphans
from collector.ship.sinks.file import FileSinkSettings
from tests.running import Collector, eventually, running
from wal.cursor import Cursor, Intent
from wal.errors import LogLocked
from wal.log import Log

_EVENT = {"ea": "view", "ec": "product", "sid": 1, "aid": "a", "uid": "u"}
_SLOW_SINK = """
[server]
port = {port}
workers = {workers}
[[property]]
portal_id = 33167
prop_id = 564990801
[[sink]]
type = "file"
dir = "data/events"
flush_seconds = 3600
"""


def _shards(collector: Collector) -> set[str]:
    return {shard.name for shard in (collector.folder / "data/log").iterdir()}


def _post_to_every_shard(collector: Collector, shards: int) -> set[str]:
    """Post until every shard has an event; returns the ids of all."""
    ids: set[str] = set()
    while len({event_id.partition("-")[0] for event_id in ids}) < shards:
        ids.add(collector.post(_EVENT).headers["x-event-id"])
    return ids


def test_the_events_of_a_shard_without_a_worker_are_shipped_by_another(tmp_path: Path) -> None:
    with running(tmp_path, workers=3, settings=_SLOW_SINK) as collector:
        ids = _post_to_every_shard(collector, 3)
        collector.kill()
        assert collector.shipped() == []
    with running(tmp_path, workers=1, settings=_SLOW_SINK) as collector:
        orphans = {
            record["id"] for record in collector.stored() if not record["id"].startswith(_log_id(tmp_path, "00"))
        }
        eventually(lambda: {record["id"] for record in collector.shipped()} == orphans, "the orphans are shipped")
        assert collector.stop() == 0
        assert sorted(record["id"] for record in collector.shipped()) == sorted(ids)
        assert "adopted" in collector.stderr


def test_an_orphan_is_a_free_shard_that_a_sink_has_not_all_of(tmp_path: Path) -> None:
    settings = Settings(log=LogSettings(dir=str(tmp_path)), sink=(FileSinkSettings(dir="unused"),))
    log = Log(str(tmp_path / "00"))
    assert orphans(settings) == {}, "it is held"
    log.commit(b'{"n":1}\n', 1)
    end = log.end
    log.seal()
    log.close()
    is_behind = {log.folder.path: frozenset({"file"})}
    assert orphans(settings) == is_behind
    cursor = Cursor(end, Intent(end, end, "token"))
    for each, expected in ((cursor, is_behind), (Cursor(end), {})):
        log.folder.save_cursor("file", each)
        assert orphans(settings) == expected


def test_the_crash_of_a_worker_leaves_the_others_serving(tmp_path: Path) -> None:
    with running(tmp_path, workers=2) as collector:
        victim, survivor = collector.workers()
        victim.suspend()
        victim.kill()
        assert {collector.post(_EVENT).status for _ in range(50)} == {200}
        eventually(lambda: len(collector.workers()) == 2, "the worker is started again")
        assert survivor in collector.workers()


def test_two_collectors_on_one_folder_never_share_a_shard(tmp_path: Path) -> None:
    with running(tmp_path, workers=2) as first:
        second = Collector(tmp_path, workers=2)
        try:
            second.start()
            # more than four, if one was held for a moment by the look for orphans
            eventually(lambda: len(_shards(first)) >= 4, "each has shards of its own")
            ids = [collector.post(_EVENT).headers["x-event-id"] for collector in (first, second) for _ in range(20)]
            assert len(set(ids)) == len(ids)
        finally:
            second.kill()


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    with running(tmp_path, workers=1), pytest.raises(LogLocked, match=r"00/LOCK: held by another process"):
        Log(str(tmp_path / "data/log/00"))


def _log_id(folder: Path, shard: str) -> str:
    text = (folder / "data/log" / shard / "log.json").read_text()
    return text.partition('"log_id":"')[2][:16]
