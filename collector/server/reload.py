"""Reloads the settings: the file is checked whole, and what it changes takes effect without refusing a request.

read ── faults, or a change that needs a restart ──> refused: nothing changes
  │
  ├── sinks, log, …:        replace one worker ── it does not get ready ──> refused: nothing changes
  │                              └── it is ready ──> replace the others, one at a time
  └── properties and limits alone:  all workers swap them between two requests

The files of the certificate are read again at each reload.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from collector.errors import BadSettings
from collector.process_log.of_processes import ReloadAccepted, ReloadBug, ReloadRefused, SwapLate
from collector.server.bounded import within
from collector.server.control import SettingsBoard
from collector.server.node_state import Node, Reload
from collector.server.workers import StartWorker, Workers
from collector.settings import Settings
from collector.settings.changes import Changes, changes
from wal.log import now_ms
from wal.tools.terminal import harmless

NOTHING: Final = "nothing has changed"
_MOST_LINES: Final = 100
_MOST_CHARACTERS: Final = 300
"""Lines of a reload that are logged and kept, and characters of each. The state of the node must fit into a packet."""
_READ_SECONDS: Final = 30.0
"""How long settings and certificate may take to be read, which a network file system decides."""
_STOPPING: Final = "the collector is stopping"


class Reloader:
    """Keeps the settings in effect, and replaces them. Create it inside the event loop."""

    def __init__(
        self,
        settings: Settings,
        config: str,
        *,
        read: Callable[[], Settings],
        for_workers: Callable[[Settings], Settings],
        start_with: Callable[[Settings], StartWorker],
        on_accepted: Callable[[Settings], None],
        workers: Workers,
        node: Node,
        board: SettingsBoard,
        read_seconds: float = _READ_SECONDS,
    ) -> None:
        """`config` is the path of the settings file; `read` reads and checks it, and raises BadSettings, OSError.

        `for_workers` returns the settings as workers have them; `start_with` returns the function that starts a worker
        with these settings; `on_accepted` is called with changed settings that all workers have. `read_seconds` is the
        time that `read` may take.
        """
        self._settings = settings
        self._config = config
        self._read = read
        self._read_seconds = read_seconds
        self._for_workers = for_workers
        self._start_with = start_with
        self._on_accepted = on_accepted
        self._workers = workers
        self._node = node
        self._board = board
        self._number = 0
        self._lock = asyncio.Lock()
        self._running: asyncio.Task[tuple[list[str], list[str]]] | None = None

    async def reload(self, on_progress: Callable[[str], None] = lambda _: None) -> Reload:
        """Read the settings again and bring them into effect. One reload runs at a time."""
        async with self._lock:
            faults, lines = await self._reload_until_end(on_progress)
            lines = [harmless(line) for line in faults or lines]  # the name of a file may not be UTF-8
            shown = tuple(_shortened(lines))
            if faults:
                ReloadRefused(self._config, shown).write()
            else:
                ReloadAccepted(self._config, shown).write()
            self._node.reloaded(Reload(is_accepted=not faults, lines=shown, unix_ms=now_ms()))
            return Reload(is_accepted=not faults, lines=tuple(lines), unix_ms=now_ms())

    def end(self) -> None:
        """Refuse the reload that runs: the collector is stopping."""
        if self._running:
            self._running.cancel()

    async def _reload_until_end(self, on_progress: Callable[[str], None]) -> tuple[list[str], list[str]]:
        self._running = asyncio.create_task(self._reload(on_progress))
        try:
            return await self._running
        except asyncio.CancelledError:
            self._running.cancel()
            if self._node.is_stopping:
                return [_STOPPING], []
            raise
        except Exception as error:  # whatever a file holds must not leave the operator without a word
            ReloadBug().write(exc_info=True)
            return [f"bug in the collector: {type(error).__name__}; the process log has the traceback"], []

    async def _reload(self, on_progress: Callable[[str], None]) -> tuple[list[str], list[str]]:
        """The faults, and the changes in words."""
        if self._node.is_stopping:
            return [_STOPPING], []
        try:
            settings = await within(self._read_seconds, self._read)
        except TimeoutError:
            return [f"the settings could not be read within {self._read_seconds:g} s: a file or its disk hangs"], []
        except (BadSettings, OSError) as error:
            return str(error).splitlines(), []
        found = changes(self._settings, settings)
        if found.restart:
            return [f"{line}: this needs a restart" for line in found.restart], []
        if found.rolled:
            if fault := await self._roll(settings, on_progress):
                return [fault], []
        elif found.swapped or settings.server.tls_certificate:
            await self._swap(settings)
        if settings != self._settings:
            self._settings = settings
            self._on_accepted(settings)
        return [], _lines(found, settings)

    async def _swap(self, settings: Settings) -> None:
        self._number += 1
        self._workers.start = self._start_with(settings)
        late = await self._workers.swap(self._board.add(self._number, self._for_workers(settings)))
        if late:
            SwapLate(tuple(worker.pid for worker in late)).write()

    async def _roll(self, settings: Settings, on_progress: Callable[[str], None]) -> str | None:
        """Replace all workers. The first shows whether the settings work; returns why they do not."""
        start, grace_seconds = self._start_with(settings), self._settings.server.grace_seconds
        for place in range(self._workers.places):
            fault = await self._workers.replace(place, start, grace_seconds)
            if fault and place == 0:
                return f"{fault}; the process log has the reason"
            if fault:  # as after a death: its successor starts with the new settings
                on_progress(f"worker {place + 1}: {fault}; it is started again")
                await self._workers.end(place, grace_seconds)
            else:
                on_progress(f"worker {place + 1} of {self._workers.places} is replaced")
        return None


def _lines(found: Changes, settings: Settings) -> list[str]:
    read_again = ["server.tls_certificate: read again"] if settings.server.tls_certificate else []
    return [*found.swapped, *found.rolled, *read_again] or [NOTHING]


def _shortened(lines: list[str]) -> list[str]:
    shown = [f"{line:.{_MOST_CHARACTERS}}" for line in lines[:_MOST_LINES]]
    return shown if len(lines) <= _MOST_LINES else [*shown, f"and {len(lines) - _MOST_LINES} more"]
