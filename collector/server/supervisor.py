"""The supervisor: keeps the workers running, reloads the settings at SIGHUP, and stops all within one budget.

    STARTING ── all workers are ready: logs the address ────> SERVING
       │                                                         │
       └── SIGTERM, Ctrl-C, or a worker that needs a person ──┬──┘
                                                              v
       end <── all workers have ended ─────────────────── STOPPING
        ^                                                     │
        └─ SIGKILL ── grace_seconds are over, second signal ──┘

STOPPING begins with `shutdown_delay` after a signal: health is 503, and requests are still taken. grace_seconds follow.
"""

import asyncio
import signal
import socket
import time
from collections.abc import Callable, Coroutine
from enum import Enum, auto

from collector.process_log.lines import utc_with_ms
from collector.process_log.of_processes import Draining, Ready, Stopped, Stopping, WorkerDiedStopping, WorkersKilled
from collector.server.exit_codes import STARTUP_FAILURE, cause_of_death, of_signal
from collector.server.node_state import Node
from collector.server.worker_process import WorkerProcess
from collector.server.workers import Workers
from collector.settings import ServerSettings

_SECOND_SIGNAL = "second signal"
_ONE_SIGNAL_SECONDS = 0.2
"""A signal that comes again so soon is the same: `timeout` sends it to its child, and then to the child's group."""
_MOST_RELOADS = 2
"""A reload that waits reads the settings when it begins, so it serves all signals that come until then."""
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_EXPECTED_AT_STOP = (0, -signal.SIGTERM, STARTUP_FAILURE)
"""Exit codes of a worker at a stop: uvicorn raises SIGTERM again. A failed start has been logged with its reason."""


class _State(Enum):
    STARTING = auto()
    SERVING = auto()
    STOPPING = auto()


class Supervisor:
    """Runs a collector. Create it inside the event loop, in the main thread."""

    def __init__(
        self,
        workers: Workers,
        node: Node,
        server: ServerSettings,
        listener: socket.socket,
        *,
        admin_address: str | None = None,
    ) -> None:
        """`listener` is closed at a stop; `admin_address` is for the line of a start."""
        self.server = server
        """The settings of a stop. A reload replaces them."""
        self.reload: Callable[[], Coroutine[None, None, object]] | None = None
        """Called at SIGHUP."""
        self.end_reload: Callable[[], None] | None = None
        """Called at a stop. A reload that goes on would start workers."""
        self._workers = workers
        self._workers.on_report = self._announce
        self._node = node
        self._listener = listener
        self._admin_address = admin_address
        self._signals: asyncio.Queue[int] = asyncio.Queue()
        self._signalled = (0, 0.0)
        """The last signal that counted, and when it came."""
        self._reloads: set[asyncio.Task[object]] = set()
        """Of SIGHUP: one that runs, and one that waits."""
        self._state = _State.STARTING

    async def run(self) -> int:
        """Keep the workers running until a stop; returns the exit code of the collector."""
        self._take_signals()
        try:
            by_signal = await self._keep_workers()
            return await self._stop(by_signal=by_signal)
        finally:
            # Only a bug leaves workers here. Without a supervisor they would hold the socket and their shards.
            for worker in self._workers.running:
                worker.kill()

    def _take_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in _STOP_SIGNALS:
            loop.add_signal_handler(number, self._take_signal, number)
        loop.add_signal_handler(signal.SIGHUP, self._begin_reload)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})  # one that came during the start reloads now

    def _take_signal(self, number: int) -> None:
        (before, at), now = self._signalled, time.monotonic()
        if number != before or now - at > _ONE_SIGNAL_SECONDS:
            self._signalled = (number, now)
            self._signals.put_nowait(number)

    def _begin_reload(self) -> None:
        if self.reload and len(self._reloads) < _MOST_RELOADS:
            task = asyncio.create_task(self.reload())
            self._reloads.add(task)  # the event loop itself holds no strong reference
            task.add_done_callback(self._reloads.discard)

    async def _keep_workers(self) -> bool:
        """Keep the workers running. Returns True at a signal, False once a worker needs a person."""
        signalled = asyncio.create_task(self._signals.get())
        keeping = asyncio.create_task(self._workers.keep())
        try:
            done, _ = await asyncio.wait([signalled, keeping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (signalled, keeping):
                task.cancel()
        if keeping in done:
            keeping.result()  # raises the exception of a bug in that task
        return done == {signalled}

    def _announce(self) -> None:
        """Log the address, once, when all workers are ready."""
        if self._state is not _State.STARTING or not self._workers.are_serving:
            return
        self._state = _State.SERVING
        scheme = "https" if self.server.tls_certificate else "http"
        address = address_of(self._listener, scheme)
        Ready(address, self._workers.places, self._admin_address or "none").write()

    async def _stop(self, *, by_signal: bool) -> int:
        """Stop all workers; returns the exit code. After a worker that needs a person, its line stays the last one."""
        self._state = _State.STOPPING
        self._node.stop()
        if self.end_reload:
            self.end_reload()
        begun = time.monotonic()
        workers = self._workers.running
        delay = self.server.shutdown_delay if by_signal else 0.0
        deadline = begun + delay + self.server.grace_seconds
        second = await self._drain(workers, deadline, delay) if delay else None
        if second is None:
            self._listener.close()
            for worker in workers:
                worker.stop(deadline)
            if by_signal and workers:
                Stopping(len(workers), utc_with_ms(time.time() + self.server.grace_seconds)).write()
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
        ended, second = await self._ended_within(workers, self.server.grace_seconds)
        _log_unexpected_ends(workers)
        if not ended:
            over = f"server.grace_seconds ({self.server.grace_seconds}) is over"
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


def address_of(listener: socket.socket, scheme: str = "http") -> str:
    """The URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


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
