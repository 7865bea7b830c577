"""SIGKILL at the collector and at the object store under load, over connections that drop: all is there once."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.crash.load import Load, load_and_crash
from tests.crash.tally import Tally
from tests.destinations.objects import Bucket, SeaweedFS
from tests.destinations.unreliable import Drops, Proxy
from tests.running import Collector, eventually, running

_ROUNDS = 10
_EVENTS = 40_000
_CONNECTIONS = 32
_SHARE = 0.02
"""Of the pieces at which a connection to the store drops, in each direction."""
_LONGEST_OUTAGE_SECONDS = 1.0
_SETTINGS = """
[server]
port = {port}
workers = {workers}
[[property]]
portal_id = 33167
prop_id = 564990801
"""


class _Chaos:
    """Kills one of the two, or both, and has them up again; `done` tells what it did."""

    def __init__(self, seed: int, server: SeaweedFS) -> None:
        self.done: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._server = server

    def __call__(self, collector: Collector) -> None:
        name = self._random.choice(["collector", "server", "both", "server then collector"])
        self.done[name] += 1
        if name != "collector":
            self._server.down()
            time.sleep(self._random.uniform(0, _LONGEST_OUTAGE_SECONDS))
        if name in ("collector", "both"):
            collector.kill()
            collector.start()
        if name != "collector":
            self._server.up()
        if name == "server then collector":
            time.sleep(self._random.uniform(0, _LONGEST_OUTAGE_SECONDS))
            collector.kill()
            collector.start()


@contextmanager
def _unreliable(server: SeaweedFS, seed: int) -> Iterator[tuple[Proxy, Callable[[], int]]]:
    """A way to the server, and how often it dropped."""
    request, response = Drops(_SHARE, seed), Drops(_SHARE, -seed)
    with closing(Proxy(server.port, request=request, response=response)) as proxy:
        yield proxy, lambda: request.dropped + response.dropped


@pytest.mark.torture
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("seed", "kind"), [(1, "ndjson"), (2, "parquet"), (3, "ndjson")])
def test_every_acknowledged_event_is_in_the_bucket_exactly_once(
    tmp_path: Path, tally: Tally, seed: int, kind: str
) -> None:
    with closing(SeaweedFS(tmp_path)) as server, _unreliable(server, seed) as (proxy, dropped):
        bucket = Bucket(server, kind, proxy.port)
        chaos = _Chaos(seed, server)
        settings = _SETTINGS + bucket.toml().replace("{", "{{").replace("}", "}}")
        with running(tmp_path, settings=settings) as collector:
            load = asyncio.run(load_and_crash(collector, _EVENTS, _ROUNDS, _CONNECTIONS, chaos))
            eventually(lambda: len(bucket.arrived()) >= len(collector.stored()), "all of the log is in the bucket")
            assert collector.stop() == 0, collector.stderr
            _check(collector, load, bucket, tally, faults=_ROUNDS + dropped())
        assert chaos.done.total() == _ROUNDS
        assert dropped() > 0


def _check(collector: Collector, load: Load, bucket: Bucket, tally: Tally, faults: int) -> None:
    arrived = [json.loads(line) for line in bucket.arrived()]
    uids = [record["event"]["uid"] for record in arrived]
    tally.add(load.acknowledged, uids, faults)
    assert load.acknowledged - set(uids) == set(), "lost"
    assert [uid for uid, times in Counter(uids).items() if times > 1] == [], "duplicated"
    assert set(uids) - load.sent == set(), "never sent"
    assert sorted(record["id"] for record in arrived) == sorted(record["id"] for record in collector.stored())
