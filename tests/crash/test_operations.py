"""A node is operated under load, and dies in part or whole: the accounts balance, and no request failed without cause.

`TRACKLOG_SEED` makes the long test repeat one order of operations alone.
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.crash.operations import FILES, PROP_ID, Operations, write_settings
from tests.crash.probes import WORKERS, Probes, uids
from tests.crash.tally import Tally
from tests.crash.traffic import PORTAL_ID, Traffic
from tests.crash.volume import memory
from tests.destinations.http import HttpReceiver
from tests.running import Collector, eventually, running

_DISK_BYTES = 192 << 20
"""Delivered segments are given up early while less than 32 MiB are free."""
_LONGEST_REST_SECONDS = 0.5
_SEEDS = [int(os.environ["TRACKLOG_SEED"])] if "TRACKLOG_SEED" in os.environ else range(1, 6)


def test_a_node_that_is_operated_under_load_loses_nothing_and_refuses_nobody(tmp_path: Path, tally: Tally) -> None:
    _check(tmp_path, tally, seed=288, number=6)  # which has both sorts of reloads, kills and the full disk


@pytest.mark.torture
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", _SEEDS)
def test_a_week_of_operations_under_load_loses_nothing_and_refuses_nobody(
    tmp_path: Path, tally: Tally, seed: int
) -> None:
    _check(tmp_path, tally, seed, number=20)


def _check(folder: Path, tally: Tally, seed: int, number: int) -> None:
    with (
        memory(folder / "data", _DISK_BYTES),
        closing(HttpReceiver(folder)) as receiver,
        running(folder, WORKERS, write_settings(folder, receiver)) as collector,
    ):
        traffic = Traffic(collector.port, PROP_ID, seed)
        probes = Probes(collector, traffic)
        operations = Operations(collector, traffic, probes, receiver, seed)
        try:
            asyncio.run(_operate(operations, traffic, seed, number))
            eventually(lambda: _is_shipped(probes), "all sinks have all")
            operations.audit()
            _check_metrics(probes, traffic, operations.started_at)
            assert collector.stop() == 0
            operations.audit()
            assert "Traceback" not in collector.stderr
        except BaseException as error:
            error.add_note("\n".join([f"TRACKLOG_SEED={seed} repeats it", *traffic.failures, collector.stderr]))
            raise
        _check_events(collector, traffic, tally, number)


async def _operate(operations: Operations, traffic: Traffic, seed: int, number: int) -> None:
    """Do that many operations in a random order, each kind before one comes again."""
    clients = asyncio.create_task(traffic.run())
    chance = random.Random(seed)
    left: list[Callable[[], None]] = []
    for _ in range(number):
        left = left or chance.sample(operations.kinds(), len(operations.kinds()))
        operation = left.pop()
        await asyncio.sleep(chance.uniform(0, _LONGEST_REST_SECONDS))
        await asyncio.to_thread(operation)
        assert traffic.failures == [], repr(operation)
        assert not clients.done()
    await asyncio.to_thread(operations.end)
    traffic.finish()
    await clients
    assert traffic.failures == []


def _is_shipped(probes: Probes) -> bool:
    """Whether no event waits for a sink."""
    return {sink["lag_events"] for sink in probes.status()["sinks"]} == {0}


def _check_metrics(probes: Probes, traffic: Traffic, started_at: float) -> None:
    """The accounts of each property balance, and have all that this collector has acknowledged since its start."""
    acknowledged = Counter(each.prop_id for each in traffic.acknowledged.values() if each.sent_at >= started_at)
    eventually(lambda: _is_balanced(_accounts(probes.metrics())), "the accounts balance")
    accounts = _accounts(probes.metrics())
    assert acknowledged, "events were sent since the last start"
    for prop_id, events in acknowledged.items():
        assert accounts["stored", str(PORTAL_ID), str(prop_id)] >= events


def _accounts(text: str) -> Counter[tuple[str, str, str]]:
    """The events of each fate and property."""
    found: Counter[tuple[str, str, str]] = Counter()
    for family in text_string_to_metric_families(text):  # type: ignore[no-untyped-call]
        fate = family.name.removeprefix("tracklog_events_")
        for sample in family.samples if fate != family.name else ():
            found[fate, sample.labels["portal"], sample.labels["prop"]] += int(sample.value)
    return found


def _is_balanced(accounts: Counter[tuple[str, str, str]]) -> bool:
    """Whether as many events were stored, rejected and shed as were received, for each property."""
    open_events: Counter[tuple[str, str]] = Counter()
    for (fate, portal_id, prop_id), events in accounts.items():
        open_events[portal_id, prop_id] += events if fate == "received" else -events
    return set(open_events.values()) == {0}


def _check_events(collector: Collector, traffic: Traffic, tally: Tally, faults: int) -> None:
    """Each acknowledged event is in the files once, all others at most once; the log agrees as far as it goes back."""
    shipped, stored = uids(collector.shipped(FILES)), uids(collector.stored())
    tally.add(traffic.acknowledged, shipped, faults)
    for found in (shipped, stored, *(uids(collector.shipped(each.name)) for each in collector.folder.glob("sink-*"))):
        assert [uid for uid, times in Counter(found).items() if times > 1] == [], "twice"
        assert set(found) - traffic.sent == set(), "never sent"
        assert set(found) & traffic.refused == set(), "refused, and there"
    assert traffic.acknowledged.keys() - set(shipped) == set(), "lost"
    assert set(stored) <= set(shipped)
    if "given up before their retention is over" not in collector.stderr:  # by a full disk
        assert set(stored) == set(shipped)
