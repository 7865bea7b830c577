"""The sampler on a real data folder: what it reads, what it says of what it could not read, and what it keeps."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from collector.ops.console.node.now import now_sample
from collector.ops.console.node.sampler import NEWS_SECONDS, Sampler
from collector.ops.counters import CounterBlock
from collector.ops.metric_table import STORED
from collector.server.node_state import NodeState, WorkerState
from collector.settings import Settings, load_settings
from tests.wal.logs import lines
from wal.cursor import Cursor
from wal.folder import LogFolder
from wal.log import Log, now_ms

_TOML = '[log]\ndir = "log"\n[dead_letters]\ndir = "dead"\n[[sink]]\ntype = "file"\nname = "files"\ndir = "out"\n'


class Node:
    """A data folder with a log, a block of counters, a clock, and the sampler that watches them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "collector.toml").write_text(_TOML)
        self.settings: Settings = load_settings(str(folder / "collector.toml"))
        self.block = CounterBlock.create()
        self.block.pid = os.getpid()
        self.block.beat()
        self.seconds = 100.0
        self.start_ms = now_ms() // 10_000 * 10_000
        worker = WorkerState(0, "serving", os.getpid(), "00", None, started_ms=5)
        self.state = NodeState((worker, WorkerState(1)), started_ms=4)
        self.sampler = Sampler(self.settings, lambda: self.state, [self.block], lambda _: None, self.clock)

    def clock(self) -> float:
        return self.seconds

    def log(self, events: int, shard: str = "log/00") -> LogFolder:
        """Append a block of events, and prove it durable. `end` is its end."""
        log = Log(str(self.folder / shard))
        log.commit(lines(range(events)), events)
        self.end = log.end
        log.close()
        return log.folder

    async def samples(self, count: int) -> dict[str, Any]:
        """Let seconds pass, with a look at the disk in each; returns the newest sample."""
        for _ in range(count):
            self.seconds += 1
            await self.sampler.look()
            self.sampler.sample(self.start_ms + int(self.seconds - 100) * 1000)
        return self.now()

    def now(self) -> dict[str, Any]:
        return now_sample(self.sampler, self.settings.log.min_free_bytes)


def _run(use: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(use(), 60))


def test_a_sample_has_the_rates_the_workers_and_how_far_each_sink_is(tmp_path: Path) -> None:
    node = Node(tmp_path)

    async def use() -> None:
        node.log(3, "dead/00")
        folder = node.log(3)
        start, end = folder.oldest(), node.end
        assert start is not None
        folder.ensure_cursor("files", start)
        node.log(2)
        await node.samples(1)
        node.block.add(10, STORED.name, "1", "2")
        folder.save_cursor("files", Cursor(end))
        now = await node.samples(1)
        assert (now["ready"], now["reason"], now["started_ms"], now["dead"]) == (True, None, 4, 3)
        assert now["values"]["stored"] == 10
        assert now["values"]["delivered"] == 3
        assert (now["values"]["pending"], now["values"]["lag_events.files"]) == (2, 2)
        assert 0 < now["disk"]["free"] <= now["disk"]["total"]
        first, second = now["workers"]
        assert (first["place"], first["pid"], first["shard"], first["ready"]) == (0, os.getpid(), "00", True)
        assert first["memory"] > 1 << 20
        assert first["cpu"] >= 0
        assert first["age_ms"] < 60_000
        assert (second["pid"], second["cpu"], second["age_ms"], second["reason"]) == (None, None, None, "starting")
        (sink,) = now["sinks"]
        assert (sink["name"], sink["shard"], sink["state"], sink["lag_events"]) == ("files", "00", "not running", 2)

    _run(use)


def test_what_is_old_is_no_value_any_more_and_says_its_age(tmp_path: Path) -> None:
    node = Node(tmp_path)

    async def use() -> None:
        folder = node.log(5)
        start = folder.oldest()
        assert start is not None
        folder.ensure_cursor("files", start)
        await node.samples(2)
        node.seconds += NEWS_SECONDS + 9
        node.sampler.sample(node.start_ms + 20_000)
        now = node.now()
        assert [now["values"][name] for name in ("disk_free", "pending", "delivered")] == [None] * 3
        assert now["values"]["stored"] == 0, "the counters are read in another way"
        assert now["dead"] is None
        assert now["disk"] == {"free": None, "total": None, "full_in_s": None, "full_state": "unknown"}
        assert [sink["age_ms"] for sink in now["sinks"]] == [14_000]

    _run(use)


def test_the_ten_seconds_of_an_hour_survive_the_process(tmp_path: Path) -> None:
    node, path = Node(tmp_path), str(tmp_path / "series")

    async def use() -> None:
        node.log(1)
        await node.sampler.open_file(path)
        for _ in range(3):
            node.block.add(50, STORED.name, "1", "2")
            await node.samples(10)
        await node.sampler._in_thread(int)
        before = node.sampler.coarse
        again = Node(tmp_path).sampler
        await again.open_file(path)
        assert before.last == again.coarse.last == node.start_ms // 10_000 + 2
        values = again.coarse.values("stored", again.coarse.last, 3)
        assert values == before.values("stored", before.last, 3)
        assert values == [0.0, 5.0, 5.0], "at first there is nothing to compare with"

    _run(use)


def test_a_node_without_a_log_has_samples_too(tmp_path: Path) -> None:
    node = Node(tmp_path)

    async def use() -> None:
        now = await node.samples(2)
        assert (now["values"]["stored"], now["values"]["disk_free"], now["sinks"]) == (0, None, [])

    _run(use)
