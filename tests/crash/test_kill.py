"""SIGKILL at the collector under load: what was answered 200 is in the files exactly once, and nothing else is."""

import asyncio
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.load import Load
from tests.running import Collector, eventually, running

_KILLS = 5
_CONNECTIONS = 64


def _kill_all(collector: Collector) -> None:
    collector.kill()
    collector.start()


def _kill_a_worker(collector: Collector) -> None:
    victim = collector.workers()[0]
    victim.kill()
    eventually(lambda: len(collector.workers()) == 2 and victim not in collector.workers(), "a worker is restarted")


def _kill_the_supervisor(collector: Collector) -> None:
    orphans = collector.workers()
    collector.process.kill()
    collector.process.wait()
    eventually(lambda: not any(orphan.is_running() for orphan in orphans), "orphaned workers end by themselves")
    collector.start()


@pytest.mark.parametrize("events", [2_000, pytest.param(10_000, marks=pytest.mark.torture)])
@pytest.mark.parametrize("kill", [_kill_all, _kill_a_worker, _kill_the_supervisor])
def test_every_acknowledged_event_is_in_the_files_exactly_once(
    tmp_path: Path, kill: Callable[[Collector], None], events: int
) -> None:
    with running(tmp_path) as collector:
        load = asyncio.run(_load_and_kill(collector, events, kill))
        eventually(lambda: len(collector.shipped()) == len(collector.stored()), "all of the log is in the files")
        assert collector.stop() == 0, collector.said
        shipped = Counter(record["event"]["uid"] for record in collector.shipped())
        _report(load, shipped, kill.__name__)
        assert len(load.acknowledged) >= events
        assert load.acknowledged - set(shipped) == set(), "lost"
        assert [uid for uid, times in shipped.items() if times > 1] == [], "duplicated"
        assert set(shipped) - load.sent == set(), "never sent"
        stored = [record["id"] for record in collector.stored()]
        assert len(stored) == len(set(stored)), "an id names two records"


async def _load_and_kill(collector: Collector, events: int, kill: Callable[[Collector], None]) -> Load:
    load = Load(collector.port, events, _CONNECTIONS)
    running_load = asyncio.create_task(load.run())
    for number in range(1, _KILLS + 1):
        await load.reached(events * number // (_KILLS + 1))
        await asyncio.to_thread(kill, collector)
    await running_load
    return load


def _report(load: Load, shipped: Counter[str], how: str) -> None:
    lost, duplicated = len(load.acknowledged - set(shipped)), sum(times - 1 for times in shipped.values())
    print(
        f"{how}: {_KILLS} kills, {len(load.sent)} sent, {len(load.acknowledged)} acknowledged, "
        f"{len(shipped)} in the files, {lost} lost, {duplicated} duplicated"
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_under_load_answers_ships_and_exits_with_0(tmp_path: Path, number: int) -> None:
    with running(tmp_path) as collector:
        load = asyncio.run(_load_and_stop(collector, number))
        shipped = Counter(record["event"]["uid"] for record in collector.shipped())
        assert load.acknowledged <= set(shipped) <= load.sent
        assert set(shipped.values()) == {1}
        assert "torn" not in collector.said
        collector.start()
        assert collector.stop() == 0
        assert len(collector.shipped()) == len(shipped)


async def _load_and_stop(collector: Collector, number: int) -> Load:
    load = Load(collector.port, 1_000_000, _CONNECTIONS)
    running_load = asyncio.create_task(load.run())
    await load.reached(500)
    assert await asyncio.to_thread(collector.stop, number) == 0, collector.said
    running_load.cancel()
    return load
