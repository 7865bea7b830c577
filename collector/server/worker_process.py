"""A worker from its supervisor's side: start, reports, end; and the signals and the deadline sent to it."""

import asyncio
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Final, cast

import msgspec

from collector.ops import gauges
from collector.ops.counters import CounterBlock
from collector.ops.metric_table import RESTARTS
from collector.process_log.of_libraries import Uncaught
from collector.server.control import SettingsBoard, StopDeadline, Swap
from collector.server.exit_codes import cause_of_death
from collector.server.node_state import WorkerReport
from collector.settings import Settings

BACKLOG: Final = 2048
"""Connections that wait in the kernel until a worker accepts them."""
_NOT_FOR_WORKERS: Final = {signal.SIGINT, signal.SIGHUP}
"""A terminal sends these to the whole process group, but only the supervisor handles them."""
SPAWN: Final = multiprocessing.get_context("spawn")


class WorkerProcess:
    """A running worker. Create it inside the event loop; raises OSError if no process can be started."""

    def __init__(
        self,
        settings: Settings,
        listener: socket.socket,
        board: SettingsBoard,
        free_blocks: list[CounterBlock],
        on_report: Callable[[WorkerReport], None],
    ) -> None:
        """`on_report` is called when the worker serves, and when its report changes; `report` is the last one.

        It takes one of `free_blocks` to count in, and gives it back when it has ended.
        """
        self._loop = asyncio.get_running_loop()
        self._on_report = on_report
        self._ready_at: float | None = None
        self._control, workers_end = SPAWN.Pipe()
        os.set_blocking(self._control.fileno(), False)  # a worker that hangs reads nothing
        self._free_blocks = free_blocks
        self._counters = free_blocks.pop()
        self._is_stopped = False
        self.report: WorkerReport | None = None
        self._process = SPAWN.Process(target=_run, args=(settings, listener, self._counters, board, workers_end))
        try:
            start_process(self._process)
        except OSError:
            self._control.close()
            self._release("not_started")
            raise
        finally:
            workers_end.close()
        self.pid: Final = cast(int, self._process.pid)  # it is started
        self._ended: asyncio.Future[int] = self._loop.create_future()
        self._loop.add_reader(self._control.fileno(), self._read_control)
        self._loop.add_reader(self._process.sentinel, self._end)

    @property
    def exit_code(self) -> int | None:
        """As `wait` returns it; None while the worker runs."""
        return self._ended.result() if self._ended.done() else None

    @property
    def is_ready(self) -> bool:
        """Whether the worker serves, or has served."""
        return self._ready_at is not None

    @property
    def seconds_served(self) -> float:
        """Seconds since the worker was ready, 0 if it never was."""
        return 0.0 if self._ready_at is None else time.monotonic() - self._ready_at

    async def wait(self) -> int:
        """Wait for the worker to end; returns its exit code, negative for a signal."""
        return await asyncio.shield(self._ended)  # cancelling one caller must not cancel the others

    def drain(self, deadline: float) -> None:
        """Tell the worker that it will be stopped, and end by `deadline`: it serves on, and is not ready any more."""
        self._is_stopped = True
        self._send(StopDeadline(deadline))

    def swap(self, swap: Swap) -> None:
        """Have the worker serve with other properties and limits. It reports when it does."""
        self._send(swap)

    def stop(self, deadline: float) -> None:
        """Ask the worker to end by `deadline`, in seconds of the monotonic clock."""
        self.drain(deadline)
        if self.exit_code is None:
            self._process.terminate()

    def kill(self) -> None:
        """End the worker at once with SIGKILL."""
        self._is_stopped = True
        if self.exit_code is None:
            self._process.kill()

    def _send(self, message: StopDeadline | Swap) -> None:
        if self.exit_code is None:
            with suppress(OSError):  # the worker has died, or has not read for long
                self._control.send(message)

    def _read_control(self) -> None:
        try:
            report = msgspec.json.decode(self._control.recv_bytes(), type=WorkerReport)
        except (EOFError, OSError):  # the worker has died; the sentinel reports that too
            self._loop.remove_reader(self._control.fileno())
            return
        if self._ready_at is None:
            self._ready_at = time.monotonic()
        self.report = report
        self._on_report(report)

    def _end(self) -> None:
        self._loop.remove_reader(self._process.sentinel)
        self._loop.remove_reader(self._control.fileno())
        self._control.close()
        self._process.join()
        exit_code = cast(int, self._process.exitcode)  # `join` sets it
        self._release(None if self._is_stopped else cause_of_death(exit_code).replace(" ", "_"))
        self._ended.set_result(exit_code)

    def _release(self, reason: str | None) -> None:
        """Put the block of counters back, for the next worker. `reason` is set if this one ended on its own.

        Nobody else counts in it now.
        """
        self._counters.pid = 0
        gauges.reset(self._counters)  # a worker that was killed leaves them
        if reason:
            self._counters.add(1, RESTARTS.name, reason)
        self._free_blocks.append(self._counters)


def start_process(process: SpawnProcess, *blocked: signal.Signals) -> None:
    """Start a process that never receives _NOT_FOR_WORKERS, nor `blocked`.

    These signals are blocked from its first instruction on, whatever handlers uvicorn sets. If the worker ignored them
    itself, there would be a gap of 0.1 s, in which Ctrl-C prints a traceback.
    """
    with _blocked(_NOT_FOR_WORKERS):
        resource_tracker.ensure_running()  # else the first `start` does it, and in Python 3.11 that unblocks SIGINT
    with _blocked(_NOT_FOR_WORKERS.union(blocked)):
        process.start()


@contextmanager
def _blocked(signals: set[signal.Signals]) -> Iterator[None]:
    earlier = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, earlier)


def _run(
    settings: Settings,
    listener: socket.socket,
    counters: CounterBlock,
    board: SettingsBoard,
    supervisor: Connection,
) -> None:
    """The first function of the new process."""
    # The application and uvicorn cost 0.2 s and 30 MiB, which the supervisor and `collector --help` must not pay.
    from collector.server.worker import run  # noqa: PLC0415

    try:
        run(settings, listener, counters, board, supervisor)
    except Exception:
        Uncaught().write(exc_info=True)  # multiprocessing would print a bare traceback
        sys.exit(1)
