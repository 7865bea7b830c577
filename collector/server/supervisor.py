"""The supervisor keeps a worker in each place, and stops all of them within one budget.

The supervisor:

    STARTING ── all workers are ready: prints the address ──> SERVING
       │                                                         │
       └── SIGTERM, Ctrl-C, or a worker that needs a person ──┬──┘
                                                              v
       end <── all workers have ended ─────────────────── STOPPING
        ^                                                     │
        └─ SIGKILL ── grace_seconds are over, second signal ──┘

A place:

    starting ── ready ──> serving
       ^  │                  │
       │  └──── dies ────────┤
       │                     v
       └─ 0, 1, 2 … 30 s ─ waiting            exit code 3, from either: the supervisor stops

A worker that hangs is not killed, because it can't be told from a worker whose disk is slow.
"""

import asyncio
import logging
import signal
import socket
import sys
import time
from collections.abc import Callable, Sized
from enum import Enum, auto
from typing import NamedTuple

from collector.server.backoff import early_deaths, restart_delay
from collector.server.exit_codes import STARTUP_FAILURE, cause_of_death, of_signal
from collector.server.worker_process import WorkerProcess

logger = logging.getLogger(__name__)

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_EXPECTED_AT_STOP = (0, -signal.SIGTERM, STARTUP_FAILURE)
"""Exit codes of a worker at a stop: uvicorn raises SIGTERM again. A failed start has been logged with its reason."""


class _State(Enum):
    STARTING = auto()
    SERVING = auto()
    STOPPING = auto()


class _Death(NamedTuple):
    cause: str
    seconds_served: float = 0.0
    needs_person: bool = False


class Supervisor:
    """Keeps `workers` processes on one listening socket. Create it inside the event loop, in the main thread."""

    def __init__(
        self,
        start_worker: Callable[[Callable[[], None]], WorkerProcess],
        *,
        workers: int,
        grace_seconds: int,
        listener: socket.socket,
        scheme: str = "http",
    ) -> None:
        """`start_worker` takes a function to call when the worker is ready, and may raise OSError."""
        self._start_worker = start_worker
        self._places = workers
        self._grace_seconds = grace_seconds
        self._listener = listener
        self._scheme = scheme
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
        loop.add_signal_handler(
            signal.SIGHUP, logger.warning, "SIGHUP: reload is not supported; restart to apply changes"
        )

    async def _keep_workers(self) -> bool:
        """Keep a worker in each place. Returns True at a signal, False once a worker needs a person."""
        signalled = asyncio.create_task(self._signals.get())
        places = [asyncio.create_task(self._keep_worker()) for _ in range(self._places)]
        try:
            done, _ = await asyncio.wait([signalled, *places], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (signalled, *places):
                task.cancel()
        for place in done - {signalled}:
            place.result()  # raises the exception of a bug in that task
        return done == {signalled}

    async def _keep_worker(self) -> None:
        """Start a worker, and another when it dies. Returns when a worker has died because a person is needed."""
        deaths = 0
        while not (death := await self._run_worker()).needs_person:
            deaths = early_deaths(deaths, death.seconds_served)
            await self._wait_to_restart(death.cause, restart_delay(deaths))

    async def _run_worker(self) -> _Death:
        try:
            worker = self._start_worker(self._announce)
        except OSError as error:  # out of memory or processes: retry later, as after a death
            return _Death(f"a worker could not be started: {error.strerror}")
        self._workers.add(worker)
        exit_code = await worker.wait()
        self._workers.remove(worker)
        cause = f"worker {worker.pid} died: {cause_of_death(exit_code)}"
        return _Death(cause, worker.seconds_served, exit_code == STARTUP_FAILURE)

    async def _wait_to_restart(self, cause: str, delay: int) -> None:
        self._restarts += 1
        due = f"in {delay} s" if delay else "now"
        logger.error("%s; restarts so far: %d; starts again %s", cause, self._restarts, due)
        await asyncio.sleep(delay)

    def _announce(self) -> None:
        """Print the address, once, when all workers are ready."""
        if self._state is not _State.STARTING or sum(worker.is_ready for worker in self._workers) < self._places:
            return
        self._state = _State.SERVING
        host, port = self._listener.getsockname()[:2]
        address = f"{self._scheme}://{f'[{host}]' if ':' in host else host}:{port}"
        _print(f"serving on {address} with {_count(self._workers)}, Ctrl-C stops")

    async def _stop(self, *, by_signal: bool) -> int:
        """Stop all workers; returns the exit code. After a worker that needs a person, its line stays the last one."""
        self._state = _State.STOPPING
        deadline = time.monotonic() + self._grace_seconds
        self._listener.close()
        workers = [worker for worker in self._workers if worker.exit_code is None]
        for worker in workers:
            worker.stop(deadline)
        if by_signal and workers:
            _print(f"stopping: waiting for {_count(workers)} to ship and close, Ctrl-C again ends at once")
        second = await self._wait_for_end(workers)
        if second is not None:
            return of_signal(second)
        failed = any(worker.exit_code == STARTUP_FAILURE for worker in workers)
        return 0 if by_signal and not failed else STARTUP_FAILURE

    async def _wait_for_end(self, workers: list[WorkerProcess]) -> int | None:
        """Wait for the workers to end; kill the rest at the deadline or at a second signal, which is returned."""
        ended = asyncio.create_task(_wait_for_all(workers))
        second = asyncio.create_task(self._signals.get())
        await asyncio.wait([ended, second], timeout=self._grace_seconds, return_when=asyncio.FIRST_COMPLETED)
        _log_unexpected_ends(workers)
        if ended.done():
            return None
        reason = "second signal" if second.done() else f"server.grace_seconds ({self._grace_seconds}) is over"
        _kill([worker for worker in workers if worker.exit_code is None], reason)
        await ended
        return second.result() if second.done() else None


async def _wait_for_all(workers: list[WorkerProcess]) -> None:
    for worker in workers:
        await worker.wait()


def _log_unexpected_ends(workers: list[WorkerProcess]) -> None:
    for worker in workers:
        if worker.exit_code is not None and worker.exit_code not in _EXPECTED_AT_STOP:
            logger.error("worker %d died while it stopped: %s", worker.pid, cause_of_death(worker.exit_code))


def _kill(workers: list[WorkerProcess], reason: str) -> None:
    for worker in workers:
        worker.kill()
    pids = ", ".join(str(worker.pid) for worker in workers)
    logger.warning(
        "%s: killed %s (%s); acknowledged events are in the log, and ship after the next start",
        reason,
        _count(workers),
        pids,
    )


def _count(workers: Sized) -> str:
    return f"{len(workers)} worker" + ("s" if len(workers) != 1 else "")


def _print(text: str) -> None:
    print(f"collector: {text}", file=sys.stderr, flush=True)
