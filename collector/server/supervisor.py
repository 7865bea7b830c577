"""The supervisor keeps a worker in each place, and stops all of them within one budget.

The supervisor:

    STARTING ── all workers are ready: logs the address ────> SERVING
       │                                                         │
       └── SIGTERM, Ctrl-C, or a worker that needs a person ──┬──┘
                                                              v
       end <── all workers have ended ─────────────────── STOPPING
        ^                                                     │
        └─ SIGKILL ── grace_seconds are over, second signal ──┘

STOPPING begins with `shutdown_delay` after a signal: health is 503, and requests are still taken. grace_seconds follow.

A place:

    starting ── ready ──> serving
       ^  │                  │
       │  └──── dies ────────┤
       │                     v
       └─ 0, 1, 2 … 30 s ─ waiting            exit code 3, from either: the supervisor stops

A worker that hangs is not killed, because it can't be told from a worker whose disk is slow.
"""

import asyncio
import signal
import socket
import time
from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from typing import NamedTuple

from collector.process_log.lines import utc
from collector.process_log.of_processes import (
    Draining,
    Ready,
    ReloadUnsupported,
    Stopped,
    Stopping,
    WorkerDied,
    WorkerDiedStopping,
    WorkerNotStarted,
    WorkersKilled,
)
from collector.server.backoff import early_deaths, restart_delay
from collector.server.exit_codes import STARTUP_FAILURE, cause_of_death, of_signal
from collector.server.node_state import Node, NodeState, WorkerReport
from collector.server.worker_process import WorkerProcess
from wal.log import now_ms

_SECOND_SIGNAL = "second signal"
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_EXPECTED_AT_STOP = (0, -signal.SIGTERM, STARTUP_FAILURE)
"""Exit codes of a worker at a stop: uvicorn raises SIGTERM again. A failed start has been logged with its reason."""


class _State(Enum):
    STARTING = auto()
    SERVING = auto()
    STOPPING = auto()


class _Death(NamedTuple):
    worker_pid: int | None
    """None if no process could be started."""
    cause: str
    seconds_served: float = 0.0
    needs_person: bool = False


class Supervisor:
    """Keeps `workers` processes on one listening socket. Create it inside the event loop, in the main thread."""

    def __init__(
        self,
        start_worker: Callable[[Callable[[WorkerReport], None]], WorkerProcess],
        *,
        workers: int,
        grace_seconds: int,
        listener: socket.socket,
        shutdown_delay: float = 0.0,
        admin_address: str | None = None,
        on_change: Callable[[NodeState], None] = lambda _: None,
    ) -> None:
        """`start_worker` takes a function to call with each report of the worker, and may raise OSError.

        `on_change` is called with each new state of the node, from here on; `admin_address` is for the line of a start.
        """
        self._start_worker = start_worker
        self._places = workers
        self._grace_seconds = grace_seconds
        self._listener = listener
        self._shutdown_delay = shutdown_delay
        self._admin_address = admin_address
        self._node = Node(workers, now_ms(), on_change)
        self._workers: set[WorkerProcess] = set()
        self._signals: asyncio.Queue[int] = asyncio.Queue()
        self._restarts = 0
        self._state = _State.STARTING

    async def run(self) -> int:
        """Keep the workers running until a stop; returns the exit code of the collector."""
        self._take_signals()
        try:
            by_signal = await self._keep_workers()
            return await self._stop(by_signal=by_signal)
        finally:
            # Only a bug leaves workers here. Without a supervisor they would hold the socket and their shards.
            for worker in self._workers:
                worker.kill()

    def _take_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in _STOP_SIGNALS:
            loop.add_signal_handler(number, self._signals.put_nowait, number)
        loop.add_signal_handler(signal.SIGHUP, ReloadUnsupported().write)

    async def _keep_workers(self) -> bool:
        """Keep a worker in each place. Returns True at a signal, False once a worker needs a person."""
        signalled = asyncio.create_task(self._signals.get())
        places = [asyncio.create_task(self._keep_worker(place)) for place in range(self._places)]
        try:
            done, _ = await asyncio.wait([signalled, *places], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (signalled, *places):
                task.cancel()
        for place in done - {signalled}:
            place.result()  # raises the exception of a bug in that task
        return done == {signalled}

    async def _keep_worker(self, place: int) -> None:
        """Start a worker, and another when it dies. Returns when a worker has died because a person is needed."""
        deaths = 0
        while not (death := await self._run_worker(place)).needs_person:
            self._node.died(place, death.cause)
            deaths = early_deaths(deaths, death.seconds_served)
            await self._wait_to_restart(death, restart_delay(deaths))

    async def _run_worker(self, place: int) -> _Death:
        try:
            worker = self._start_worker(partial(self._take_report, place))
        except OSError as error:  # out of memory or processes: retry later, as after a death
            return _Death(None, str(error.strerror))
        self._workers.add(worker)
        self._node.started(place, worker.pid, now_ms())
        exit_code = await worker.wait()
        self._workers.remove(worker)
        cause, needs_person = cause_of_death(exit_code), exit_code == STARTUP_FAILURE
        return _Death(worker.pid, cause, worker.seconds_served, needs_person)

    async def _wait_to_restart(self, death: _Death, delay: int) -> None:
        self._restarts += 1
        if death.worker_pid is None:
            WorkerNotStarted(death.cause, self._restarts, delay).write()
        else:
            WorkerDied(death.worker_pid, death.cause, self._restarts, delay).write()
        await asyncio.sleep(delay)

    def _take_report(self, place: int, report: WorkerReport) -> None:
        self._node.reported(place, report)
        self._announce()

    def _announce(self) -> None:
        """Log the address, once, when all workers are ready."""
        if self._state is not _State.STARTING or sum(worker.is_ready for worker in self._workers) < self._places:
            return
        self._state = _State.SERVING
        Ready(address_of(self._listener), len(self._workers), self._admin_address or "none").write()

    async def _stop(self, *, by_signal: bool) -> int:
        """Stop all workers; returns the exit code. After a worker that needs a person, its line stays the last one."""
        self._state = _State.STOPPING
        self._node.stop()
        begun = time.monotonic()
        workers = [worker for worker in self._workers if worker.exit_code is None]
        delay = self._shutdown_delay if by_signal else 0.0
        deadline = begun + delay + self._grace_seconds
        second = await self._drain(workers, deadline, delay) if delay else None
        if second is None:
            self._listener.close()
            for worker in workers:
                worker.stop(deadline)
            if by_signal and workers:
                Stopping(len(workers), utc(time.time() + self._grace_seconds)).write()
            second = await self._wait_for_end(workers)
        exit_code = _exit_code(workers, second, by_signal=by_signal)
        if exit_code != STARTUP_FAILURE:
            Stopped(exit_code, time.monotonic() - begun).write()
        return exit_code

    async def _drain(self, workers: list[WorkerProcess], deadline: float, delay: float) -> int | None:
        """Take requests for `delay` seconds more, while health is 503; returns the signal that ended that at once."""
        for worker in workers:
            worker.drain(deadline)
        Draining(delay).write()
        ended, second = await self._ended_within(workers, delay)
        if second is not None and not ended:
            await _kill(workers, _SECOND_SIGNAL)
        return second

    async def _wait_for_end(self, workers: list[WorkerProcess]) -> int | None:
        """Wait for the workers to end; kill the rest at the deadline or at a second signal, which is returned."""
        ended, second = await self._ended_within(workers, self._grace_seconds)
        _log_unexpected_ends(workers)
        if not ended:
            over = f"server.grace_seconds ({self._grace_seconds}) is over"
            await _kill(workers, over if second is None else _SECOND_SIGNAL)
        return second

    async def _ended_within(self, workers: list[WorkerProcess], seconds: float) -> tuple[bool, int | None]:
        """Wait for the workers to end, or for a second signal; returns whether they ended, and the signal."""
        ended = asyncio.create_task(_wait_for_all(workers))
        second = asyncio.create_task(self._signals.get())
        await asyncio.wait([ended, second], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in (ended, second):
            task.cancel()
        return ended.done(), second.result() if second.done() else None


def address_of(listener: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _exit_code(workers: list[WorkerProcess], second_signal: int | None, *, by_signal: bool) -> int:
    if second_signal is not None:
        return of_signal(second_signal)
    failed = any(worker.exit_code == STARTUP_FAILURE for worker in workers)
    return 0 if by_signal and not failed else STARTUP_FAILURE


async def _wait_for_all(workers: list[WorkerProcess]) -> None:
    for worker in workers:
        await worker.wait()


def _log_unexpected_ends(workers: list[WorkerProcess]) -> None:
    for worker in workers:
        if worker.exit_code is not None and worker.exit_code not in _EXPECTED_AT_STOP:
            WorkerDiedStopping(worker.pid, cause_of_death(worker.exit_code)).write()


async def _kill(workers: list[WorkerProcess], reason: str) -> None:
    """Kill the workers that have not ended, and wait for their end."""
    workers = [worker for worker in workers if worker.exit_code is None]
    for worker in workers:
        worker.kill()
    WorkersKilled(reason, len(workers), tuple(worker.pid for worker in workers)).write()
    await _wait_for_all(workers)
