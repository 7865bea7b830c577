"""A worker from its supervisor's side: start, ready, end; and the signals and the deadline sent to it."""

import asyncio
import multiprocessing
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

from collector.process_log.of_libraries import Uncaught
from collector.settings import Settings

BACKLOG: Final = 2048
"""Connections that wait in the kernel until a worker accepts them."""
READY: Final = b"ready"
"""The message of a worker when it serves."""
_NOT_FOR_WORKERS: Final = {signal.SIGINT, signal.SIGHUP}
"""A terminal sends these to the whole process group, but only the supervisor handles them."""
_SPAWN: Final = multiprocessing.get_context("spawn")


class WorkerProcess:
    """A running worker. Create it inside the event loop; raises OSError if no process can be started."""

    def __init__(self, settings: Settings, listener: socket.socket, on_ready: Callable[[], None]) -> None:
        """`on_ready` is called when the worker serves."""
        self._loop = asyncio.get_running_loop()
        self._on_ready = on_ready
        self._ready_at: float | None = None
        self._control, workers_end = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_run, args=(settings, listener, workers_end))
        try:
            _start(self._process)
        except OSError:
            self._control.close()
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

    def stop(self, deadline: float) -> None:
        """Ask the worker to end by `deadline`, in seconds of the monotonic clock."""
        if self.exit_code is None:
            with suppress(OSError):  # the worker has died
                self._control.send(deadline)
            self._process.terminate()

    def kill(self) -> None:
        """End the worker at once with SIGKILL."""
        if self.exit_code is None:
            self._process.kill()

    def _read_control(self) -> None:
        self._loop.remove_reader(self._control.fileno())
        try:
            self._control.recv_bytes()
        except (EOFError, OSError):
            return  # the worker died before it was ready; the sentinel reports that too
        self._ready_at = time.monotonic()
        self._on_ready()

    def _end(self) -> None:
        self._loop.remove_reader(self._process.sentinel)
        self._loop.remove_reader(self._control.fileno())
        self._control.close()
        self._process.join()
        self._ended.set_result(cast(int, self._process.exitcode))  # `join` sets it


def _start(process: SpawnProcess) -> None:
    """Start a process that never receives _NOT_FOR_WORKERS.

    These signals are blocked from its first instruction on, whatever handlers uvicorn sets. If the worker ignored them
    itself, there would be a gap of 0.1 s, in which Ctrl-C prints a traceback.
    """
    with _blocked(_NOT_FOR_WORKERS):
        resource_tracker.ensure_running()  # else the first `start` does it, and in Python 3.11 that unblocks SIGINT
    with _blocked(_NOT_FOR_WORKERS):
        process.start()


@contextmanager
def _blocked(signals: set[signal.Signals]) -> Iterator[None]:
    earlier = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, earlier)


def _run(settings: Settings, listener: socket.socket, supervisor: Connection) -> None:
    """The first function of the new process."""
    # The application and uvicorn cost 0.2 s and 30 MiB, which the supervisor and `collector --help` must not pay.
    from collector.server.worker import run  # noqa: PLC0415

    try:
        run(settings, listener, supervisor)
    except Exception:
        Uncaught().write(exc_info=True)  # multiprocessing would print a bare traceback
        sys.exit(1)
