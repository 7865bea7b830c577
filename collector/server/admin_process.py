"""The admin process from its supervisor's side: keeps it running beside the workers, and sends it the node's state.

Whatever becomes of it, workers and intake go on. At a stop it ends after the workers, when its channel is closed: until
then it responds to probes, also where SIGTERM goes to the whole process group.
"""

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing.context import SpawnProcess
from typing import Final

import msgspec

from collector.ops.counters import CounterBlock
from collector.process_log.of_processes import AdminDied
from collector.server.backoff import early_deaths, restart_delay
from collector.server.exit_codes import cause_of_death
from collector.server.node_state import NodeState
from collector.server.worker_process import SPAWN, start_process
from collector.settings import Settings

PROCESS_NAME: Final = "collector-admin"
"""Its name in `ps` and `top`."""
_NICENESS: Final = 10
"""With less of a core than requests: a scrape must not slow intake."""
_END_SECONDS: Final = 1.0
"""To say goodbye to viewers. Then it is killed."""


class AdminProcess:
    """Create it inside the event loop. The socket stays open here, so that the address outlives the process."""

    def __init__(
        self, settings: Settings, config: str, listener: socket.socket, counters: tuple[CounterBlock, ...]
    ) -> None:
        """`config` is the path of the settings file; `counters` are those of all workers."""
        self._settings = settings
        self._arguments = (config, listener, counters)
        self._process: SpawnProcess | None = None
        self._is_renewed = False
        self._loop = asyncio.get_running_loop()
        self._channel: socket.socket | None = None
        """Packets to the process that runs."""
        self._state = msgspec.json.encode(NodeState())

    def publish(self, state: NodeState) -> None:
        """Send the state of the node, as soon as the process takes it. An older one that waits is skipped."""
        self._state = msgspec.json.encode(state)
        if self._channel:
            self._loop.add_writer(self._channel, self._send, self._channel)

    def renew(self, settings: Settings) -> None:
        """Replace the process by one with other settings. New connections wait meanwhile."""
        self._settings = settings
        if self._process:  # else it has died, and the next one starts with these settings
            self._is_renewed = True
            self._process.kill()  # at once, so that nobody is served by the settings of before

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep a process running, and let it go at the end."""
        keeping = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping

    async def _keep(self) -> None:
        deaths = 0
        while True:
            started, self._is_renewed = time.monotonic(), False
            try:
                cause = await self._run()
            except OSError as error:  # out of memory, processes or files: retry later, as after a death
                cause = f"the admin process could not be started: {error.strerror}"
            if self._is_renewed:
                deaths = 0
                continue
            deaths = early_deaths(deaths, time.monotonic() - started)
            delay = restart_delay(deaths)
            AdminDied(cause, delay).write()
            await asyncio.sleep(delay)

    async def _run(self) -> str:
        """Run a process until it dies; returns why. Raises OSError if no process can be started."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours:
            process = SPAWN.Process(target=_run, args=(self._settings, *self._arguments, theirs))
            try:
                start_process(process, signal.SIGTERM)
            finally:
                theirs.close()
            self._process = process
            try:
                await self._send_until_readable(ours, process.sentinel)
            finally:
                self._process = None
                ours.close()
                process.join(_END_SECONDS)
                process.kill()
                process.join()
            return f"the admin process {process.pid} died: {cause_of_death(process.exitcode or 0)}"

    async def _send_until_readable(self, channel: socket.socket, sentinel: int) -> None:
        """Send each state until the sentinel of the process tells its end."""
        channel.setblocking(False)
        ended = self._loop.create_future()
        self._loop.add_reader(sentinel, ended.set_result, None)
        self._channel = channel
        self._loop.add_writer(channel, self._send, channel)
        try:
            await ended
        finally:
            self._channel = None
            self._loop.remove_writer(channel)
            self._loop.remove_reader(sentinel)

    def _send(self, channel: socket.socket) -> None:
        """Send the last state. Never blocks: a process that hangs must not hold up the supervisor."""
        self._loop.remove_writer(channel)
        try:
            channel.send(self._state)
        except BlockingIOError:
            self._loop.add_writer(channel, self._send, channel)
        except ConnectionError:
            pass  # the process has died; its sentinel tells that too


def _run(
    settings: Settings,
    config: str,
    listener: socket.socket,
    counters: tuple[CounterBlock, ...],
    states: socket.socket,
) -> None:
    """The first function of the new process."""
    os.nice(_NICENESS)
    with contextlib.suppress(OSError), open("/proc/self/comm", "w") as name:
        name.write(PROCESS_NAME)
    # Starlette and uvicorn cost 0.2 s and 30 MiB, which the supervisor must not pay.
    from collector.server.admin import run  # noqa: PLC0415

    run(settings, config, listener, counters, states)
