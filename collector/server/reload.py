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
from collector.process_log.of_processes import ReloadAccepted, ReloadRefused, SwapLate
from collector.server.control import SettingsBoard
from collector.server.node_state import Node, Reload
from collector.server.workers import StartWorker, Workers
from collector.settings import Settings
from collector.settings.changes import Changes, changes
from wal.log import now_ms
from wal.tools.terminal import harmless

NOTHING: Final = "nothing has changed"
_MOST_LINES: Final = 100
"""Lines of a reload that are logged and kept."""


class Reloader:
    """Keeps the settings in effect, and replaces them. Create it inside the event loop."""

    def __init__(
        self,
        settings: Settings,
        config: str,
        *,
        read: Callable[[], Settings],
        start_with: Callable[[Settings], StartWorker],
        on_accepted: Callable[[Settings], None],
        workers: Workers,
        node: Node,
        board: SettingsBoard,
    ) -> None:
        """`config` is the path of the settings file; `read` reads and checks it, and raises BadSettings, OSError.

        `start_with` returns the function that starts a worker with these settings; `on_accepted` is called with
        settings that all workers have.
        """
        self._settings = settings
        self._config = config
        self._read = read
        self._start_with = start_with
        self._on_accepted = on_accepted
        self._workers = workers
        self._node = node
        self._board = board
        self._number = 0
        self._lock = asyncio.Lock()

    async def reload(self, on_progress: Callable[[str], None] = lambda _: None) -> Reload:
        """Read the settings again and bring them into effect. One reload runs at a time."""
        async with self._lock:
            faults, lines = await self._reload(on_progress)
            lines = [harmless(line) for line in faults or lines]  # the name of a file may not be UTF-8
            shown = tuple(_shortened(lines))
            if faults:
                ReloadRefused(self._config, shown).write()
            else:
                ReloadAccepted(self._config, shown).write()
            self._node.reloaded(Reload(is_accepted=not faults, lines=shown, unix_ms=now_ms()))
            return Reload(is_accepted=not faults, lines=tuple(lines), unix_ms=now_ms())

    async def _reload(self, on_progress: Callable[[str], None]) -> tuple[list[str], list[str]]:
        """The faults, and the changes in words."""
        if self._node.is_stopping:
            return ["the collector is stopping"], []
        try:
            settings = await asyncio.to_thread(self._read)
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
        self._settings = settings
        self._on_accepted(settings)
        return [], _lines(found, settings)

    async def _swap(self, settings: Settings) -> None:
        self._number += 1
        self._workers.start = self._start_with(settings)
        late = await self._workers.swap(self._board.add(self._number, settings))
        if late:
            SwapLate(tuple(worker.pid for worker in late)).write()

    async def _roll(self, settings: Settings, on_progress: Callable[[str], None]) -> str | None:
        """Replace all workers. The first shows whether the settings work; returns why they do not."""
        start, grace_seconds = self._start_with(settings), self._settings.server.grace_seconds
        for place in range(self._workers.places):
            fault = await self._workers.replace(place, start, grace_seconds)
            if fault and place == 0:
                return f"{fault}; the process log has the reason"
            self._workers.start = start
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
    return lines if len(lines) <= _MOST_LINES else [*lines[:_MOST_LINES], f"and {len(lines) - _MOST_LINES} more"]
