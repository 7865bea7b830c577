"""The workers of a supervisor: one in each place, started again when it dies, and replaced when settings need it.

A place:

    starting ── ready ──> serving ── replace ──> a successor starts, and once it is ready, the worker is stopped
       ^  │                  │
       │  └──── dies ────────┤
       │                     v
       └─ 0, 1, 2 … 30 s ─ waiting               exit code 3, from either: the supervisor stops

A worker that hangs is not killed, because it can't be told from a worker whose disk is slow.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from collector.process_log.of_processes import WorkerDied, WorkerNotStarted, WorkersKilled
from collector.server.backoff import early_deaths, restart_delay
from collector.server.control import Swap
from collector.server.exit_codes import STARTUP_FAILURE, cause_of_death
from collector.server.node_state import Node, WorkerReport
from collector.server.worker_process import WorkerProcess
from wal.log import now_ms

_POLL_SECONDS: Final = 0.05
_READY_SECONDS: Final = 60.0
"""How long a successor may take to be ready. A shard of its own is new, or recovered in seconds."""
_SWAP_SECONDS: Final = 30.0

StartWorker = Callable[[Callable[[WorkerReport], None]], WorkerProcess]
"""Takes a function to call with each report of the worker. May raise OSError."""


class _Death(NamedTuple):
    worker_pid: int | None
    """None if no process could be started."""
    cause: str
    seconds_served: float = 0.0
    needs_person: bool = False


class Workers:
    """The workers of all places. Create it inside the event loop."""

    def __init__(self, start: StartWorker, places: int, node: Node) -> None:
        self.start = start
        """Starts workers from now on."""
        self.places: Final = places
        self.on_report: Callable[[], None] = _ignore
        """Called after each report of a worker."""
        self._node = node
        self._in_place: dict[int, WorkerProcess] = {}
        self._all: set[WorkerProcess] = set()
        """Those in a place, those that are being replaced, and successors."""
        self._settled: dict[int, asyncio.Event] = {}
        """Set when a worker gets the place."""

    @property
    def running(self) -> list[WorkerProcess]:
        """All workers that have not ended."""
        return [worker for worker in self._all if worker.exit_code is None]

    @property
    def are_serving(self) -> bool:
        """Whether there is a worker in each place, and each has come to serve."""
        return sum(worker.is_ready for worker in self._in_place.values()) == self.places

    async def keep(self) -> None:
        """Keep a worker in each place. Returns once a worker has died because a person is needed."""
        places = [asyncio.create_task(self._keep(place)) for place in range(self.places)]
        try:
            done, _ = await asyncio.wait(places, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in places:
                task.cancel()
        for task in done:
            task.result()  # raises the exception of a bug in that task

    async def swap(self, swap: Swap) -> list[WorkerProcess]:
        """Have all workers serve with other properties and limits; returns those that have not confirmed in time."""
        late = self.running
        for worker in late:
            worker.swap(swap)
        deadline = time.monotonic() + _SWAP_SECONDS
        while late and time.monotonic() < deadline:
            await asyncio.sleep(_POLL_SECONDS)
            late = [worker for worker in late if worker.exit_code is None and not _has_swapped(worker, swap.number)]
        return late

    async def replace(self, place: int, start: StartWorker, grace_seconds: int) -> str | None:
        """Start a successor, and once it is ready, stop the worker; returns why that was not possible, or None.

        The successor is ready before the worker stops to accept, so requests are served all the time. Once it is ready,
        `start` starts all workers, also in its own place should it die.
        """
        try:
            successor = self._begin(place, start)
        except OSError as error:  # out of memory or processes
            return f"no worker could be started: {error.strerror}"
        before = self._in_place.get(place)
        if fault := await self._wait_until_ready(successor, before):
            await self._end(successor, grace_seconds)
            return fault
        before = self._in_place.get(place)  # it may have died meanwhile
        self.start = start
        self._settle(place, successor)
        if before:
            await self._end(before, grace_seconds)
        return None

    async def end(self, place: int, grace_seconds: int) -> None:
        """Stop the worker in a place; another one is started there, as after a death."""
        if worker := self._in_place.get(place):
            await self._end(worker, grace_seconds)

    async def _keep(self, place: int) -> None:
        """Start a worker, and another when it dies. Returns when a worker has died because a person is needed."""
        deaths = 0
        while True:
            death = await self._run(place)
            if death is None:
                continue
            if death.needs_person:
                return
            self._node.died(place, death.cause)
            deaths = early_deaths(deaths, death.seconds_served)
            await self._wait_to_restart(death, restart_delay(deaths))

    async def _run(self, place: int) -> _Death | None:
        """Wait for the end of the worker in a place, which is started if there is none; None if it was replaced."""
        worker = self._in_place.get(place)
        if worker is None:
            try:
                worker = self._begin(place, self.start)
            except OSError as error:  # out of memory or processes: retry later, as after a death
                return _Death(None, str(error.strerror))
            self._settle(place, worker)
        exit_code = await self._end_of(place, worker)
        if exit_code is None:
            return None
        self._all.discard(worker)
        del self._in_place[place]
        cause, needs_person = cause_of_death(exit_code), exit_code == STARTUP_FAILURE
        return _Death(worker.pid, cause, worker.seconds_served, needs_person)

    async def _end_of(self, place: int, worker: WorkerProcess) -> int | None:
        """Wait until a worker ends in its place, and return its exit code; None as soon as another has the place.

        A successor may die while its predecessor still stops, and must not wait for that to be started again.
        """
        ended = asyncio.create_task(worker.wait())
        replaced = asyncio.create_task(self._settled.setdefault(place, asyncio.Event()).wait())
        try:
            await asyncio.wait([ended, replaced], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (ended, replaced):
                task.cancel()
        return worker.exit_code if self._in_place.get(place) is worker else None

    def _begin(self, place: int, start: StartWorker) -> WorkerProcess:
        def on_report(report: WorkerReport) -> None:
            if self._in_place.get(place) is worker:
                self._node.reported(place, report)
                self.on_report()

        worker = start(on_report)
        self._all.add(worker)
        return worker

    def _settle(self, place: int, worker: WorkerProcess) -> None:
        """Give a worker its place."""
        self._in_place[place] = worker
        self._settled.pop(place, asyncio.Event()).set()
        self._node.started(place, worker.pid, now_ms())
        if worker.report:
            self._node.reported(place, worker.report)

    async def _wait_until_ready(self, successor: WorkerProcess, before: WorkerProcess | None) -> str | None:
        """Wait until a worker is ready, or as ready as the one that it replaces; returns what prevents it, or None."""
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            if successor.exit_code is not None:
                return f"worker {successor.pid} ended before it was ready: {cause_of_death(successor.exit_code)}"
            if (now := successor.report) and (now.reason is None or not _is_ready(before)):
                return None
            await asyncio.sleep(_POLL_SECONDS)
        reason = successor.report.reason if successor.report else "starting"
        return f"worker {successor.pid} was not ready after {_READY_SECONDS:.0f} s: {reason}"

    async def _end(self, worker: WorkerProcess, grace_seconds: int) -> None:
        """Stop a worker, and kill it if it is late."""
        worker.stop(time.monotonic() + grace_seconds)
        try:
            await asyncio.wait_for(worker.wait(), grace_seconds)
        except TimeoutError:
            worker.kill()
            WorkersKilled(f"server.grace_seconds ({grace_seconds}) is over", 1, (worker.pid,)).write()
            await worker.wait()
        self._all.discard(worker)

    async def _wait_to_restart(self, death: _Death, delay: int) -> None:
        if death.worker_pid is None:
            WorkerNotStarted(death.cause, self._node.restarts, delay).write()
        else:
            WorkerDied(death.worker_pid, death.cause, self._node.restarts, delay).write()
        await asyncio.sleep(delay)


def _ignore() -> None:
    """Do nothing about a report."""


def _has_swapped(worker: WorkerProcess, number: int) -> bool:
    return worker.report is not None and worker.report.swaps >= number


def _is_ready(worker: WorkerProcess | None) -> bool:
    return worker is not None and worker.report is not None and worker.report.reason is None
