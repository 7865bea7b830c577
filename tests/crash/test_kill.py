"""SIGKILL at the collector under load: what was answered 200 is in the files exactly once, and nothing else is."""

import asyncio
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.load import Load, load_and_crash
from tests.crash.oracle import check_delivery
from tests.crash.tally import Tally
from tests.running import Collector, eventually, running

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


@pytest.mark.parametrize(("events", "kills"), [(2_000, 2), pytest.param(10_000, 5, marks=pytest.mark.torture)])
@pytest.mark.parametrize("kill", [_kill_all, _kill_a_worker, _kill_the_supervisor])
def test_every_acknowledged_event_is_in_the_files_exactly_once(
    tmp_path: Path, kill: Callable[[Collector], None], events: int, kills: int, tally: Tally
) -> None:
    with running(tmp_path) as collector:
        load = asyncio.run(load_and_crash(collector, events, kills, _CONNECTIONS, kill))
        check_delivery(collector, load, tally, faults=kills)
        assert len(load.acknowledged) >= events


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_under_load_answers_ships_and_exits_with_0(tmp_path: Path, number: int) -> None:
    with running(tmp_path) as collector:
        load = asyncio.run(_load_and_stop(collector, number))
        shipped = Counter(record["event"]["uid"] for record in collector.shipped())
        assert load.acknowledged <= set(shipped) <= load.sent
        assert set(shipped.values()) == {1}
        assert "torn write" not in collector.stderr
        collector.start()
        assert collector.stop() == 0
        assert len(collector.shipped()) == len(shipped)


async def _load_and_stop(collector: Collector, number: int) -> Load:
    load = Load(collector.port, 1_000_000, _CONNECTIONS)
    running_load = asyncio.create_task(load.run())
    await load.reached(500)
    assert await asyncio.to_thread(collector.stop, number) == 0, collector.stderr
    running_load.cancel()
    return load
