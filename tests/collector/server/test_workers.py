"""The workers of a supervisor, with processes that begin and end as the test says."""

import asyncio
from collections.abc import Callable
from typing import cast

from collector.server.node_state import Node, WorkerReport
from collector.server.worker_process import WorkerProcess
from collector.server.workers import StartWorker, Workers
from tests.running import PATIENCE_SECONDS

_GRACE_SECONDS = 1000


class _Process:
    """A worker that is ready at once, and ends when `end` says so."""

    def __init__(self, on_report: Callable[[WorkerReport], None], settings: str) -> None:
        self.settings = settings
        self.pid = 1
        self.is_ready = True
        self.is_stopping = False
        self.seconds_served = 100.0
        self.exit_code: int | None = None
        self.report = WorkerReport("00", None)
        self._ended = asyncio.Event()

    async def wait(self) -> int:
        await self._ended.wait()
        assert self.exit_code is not None
        return self.exit_code

    def stop(self, deadline: float) -> None:
        self.is_stopping = True

    def end(self, exit_code: int = -9) -> None:
        self.exit_code = exit_code
        self._ended.set()


class _Started(list[_Process]):
    """All processes, in the order of their start."""

    def by(self, settings: str) -> StartWorker:
        """Starts workers with these settings."""

        def start(on_report: Callable[[WorkerReport], None]) -> WorkerProcess:
            self.append(_Process(on_report, settings))
            return cast(WorkerProcess, self[-1])

        return start

    async def number(self, number: int) -> None:
        """Return once so many have been started."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self) < number:
                await asyncio.sleep(0.001)


def test_a_successor_that_dies_while_its_predecessor_stops_is_started_again_at_once_with_the_new_settings() -> None:
    async def run() -> None:
        started = _Started()
        workers = Workers(started.by("old"), 1, Node(1, 0, lambda _: None))
        keeping = asyncio.create_task(workers.keep())
        await started.number(1)
        replacing = asyncio.create_task(workers.replace(0, started.by("new"), _GRACE_SECONDS))
        await started.number(2)
        while not started[0].is_stopping:
            await asyncio.sleep(0)
        started[1].end()
        await started.number(3)
        assert started[0].exit_code is None, "it still stops"
        assert [process.settings for process in started] == ["old", "new", "new"]
        started[0].end(0)
        assert await replacing is None
        assert len(workers.running) == 1
        keeping.cancel()

    asyncio.run(run())


def test_a_worker_that_dies_while_its_successor_starts_leaves_one_worker_in_its_place() -> None:
    async def run() -> None:
        started = _Started()
        workers = Workers(started.by("old"), 1, Node(1, 0, lambda _: None))
        keeping = asyncio.create_task(workers.keep())
        await started.number(1)
        replacing = asyncio.create_task(workers.replace(0, started.by("new"), _GRACE_SECONDS))
        await started.number(2)
        started[0].end()
        while not replacing.done():
            await asyncio.sleep(0.001)
            for process in started:
                if process.is_stopping and process.exit_code is None:
                    process.end(0)
        assert replacing.result() is None
        assert [process.settings for process in started if process.exit_code is None] == ["new"]
        keeping.cancel()

    asyncio.run(run())
