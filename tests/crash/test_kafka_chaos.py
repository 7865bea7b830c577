"""SIGKILL at the collector and at Kafka, in random order under load: each acknowledged event is there exactly once."""

import asyncio
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bench.kafka.broker import Broker, broker
from bench.kafka.jars import why_not
from tests.crash.load import Load
from tests.crash.tally import Tally
from tests.kafka.topics import committed
from tests.running import Collector, eventually, running

pytestmark = [
    pytest.mark.torture,
    pytest.mark.timeout(900),
    pytest.mark.skipif(why_not() != "", reason=why_not()),
]

_ROUNDS = 10
_CONNECTIONS = 4
_SETTINGS = """
[server]
port = {{port}}
workers = {{workers}}
grace_seconds = 5
[[property]]
portal_id = 33167
prop_id = 564990801
[[sink]]
type = "kafka"
brokers = ["{address}"]
key = "au_id"
flush_seconds = 0.02
"""


class _Chaos:
    """What dies, and comes back a moment later."""

    def __init__(self, seed: int, collector: Collector, node: Broker) -> None:
        self._chance = random.Random(seed)
        self._collector = collector
        self._node = node

    def strike(self) -> None:
        """Kill one or both, and start again what was killed, perhaps while the other is still away."""
        victims = self._chance.choice(["collector", "broker", "both"])
        if victims != "collector":
            self._node.kill()
            self._rest()
        if victims != "broker":
            self._collector.kill()
            self._rest()
            self._collector.start()
        if victims != "collector":
            self._rest()
            self._node.start()

    def _rest(self) -> None:
        asyncio.run(asyncio.sleep(self._chance.uniform(0, 0.5)))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_acknowledged_event_is_committed_exactly_once_and_in_order(
    tmp_path: Path, seed: int, tally: Tally
) -> None:
    with (
        broker(tmp_path / "kafka") as node,
        running(tmp_path, settings=_SETTINGS.format(address=node.address)) as collector,
    ):
        load = asyncio.run(_load_and_strike(collector, _Chaos(seed, collector, node), seed))
        ends = _ends(collector)
        eventually(lambda: ends.items() <= _cursors(node).items(), "all of the log is in Kafka")
        assert collector.stop() == 0, collector.stderr
        found = list(_found(node))
        uids = [record["event"]["uid"] for _, record in found]
        tally.add(load.acknowledged, uids, _ROUNDS)
        assert load.acknowledged - set(uids) == set(), "lost"
        assert [uid for uid, times in Counter(uids).items() if times > 1] == [], "twice"
        assert set(uids) - load.sent == set(), "never sent"
        assert sorted(record["id"] for _, record in found) == sorted(record["id"] for record in collector.stored())
        _check_order(found)


async def _load_and_strike(collector: Collector, chaos: _Chaos, seed: int) -> Load:
    """A steady load, with a strike each time that some more events are acknowledged."""
    load = Load(collector.port, 1_000_000, _CONNECTIONS)
    clients = asyncio.create_task(load.run())
    chance = random.Random(seed)
    for _ in range(_ROUNDS):
        await load.reached(len(load.acknowledged) + chance.randrange(500, 3000))
        await asyncio.to_thread(chaos.strike)
    await load.reached(len(load.acknowledged) + 1000)
    load.finish()
    await clients
    return load


def _ends(collector: Collector) -> dict[str, int]:
    """The sequence behind the last event of each log, by its id."""
    places = [record["id"].rpartition("-") for record in collector.stored()]
    return {log_id: int(sequence) + 1 for log_id, _, sequence in places}


def _cursors(node: Broker) -> dict[str, int]:
    """What Kafka says of each log: the sequence that it wants next."""
    records = [(each.key() or b"", each.value() or b"") for each in committed(node.address, "tracklog.cursors")]
    return {key.decode().partition("/")[0]: json.loads(value)["next"] for key, value in records}


def _found(node: Broker) -> list[tuple[Any, dict[str, Any]]]:
    """The partition and the record of each committed message, each partition in its order."""
    return [(each.partition(), json.loads(each.value() or b"")) for each in committed(node.address, "events.")]


def _check_order(found: list[tuple[Any, dict[str, Any]]]) -> None:
    """Within a partition, hence of a key, the events of a log are in its order; and a key is in one partition."""
    last: dict[tuple[Any, str], int] = {}
    for partition, record in found:
        log_id, _, sequence = record["id"].rpartition("-")
        assert last.get((partition, log_id), 0) < int(sequence), record["id"]
        last[partition, log_id] = int(sequence)
    homes = {(record["au_id"], partition) for partition, record in found}
    assert len(homes) == len({key for key, _ in homes}), "a key in two partitions"
