"""The traces of a running sink for `collector sink`: the file of its health, and a lock that ends with the process."""

import asyncio
import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Final

from collector.process_log.of_sinks import SinkStateUnsaved
from collector.ship.health import Health, SinkHealth, health_path, lock_path, open_health, save_health
from wal.errors import LogLocked
from wal.files import make_directories
from wal.folder import LogFolder

_LOOKS_A_PATIENCE: Final = 5
"""Checks of an attempt within its patience."""


class Presence:
    """Keeps both of one sink in one log. Delivery goes on without them: a failure is retried at the next look.

    Both files stay open while `keep` runs, so that the health can be written when no descriptor is left.
    """

    def __init__(self, folder: LogFolder, sink_health: SinkHealth, name: str, patience_seconds: float) -> None:
        """An attempt that takes longer than `patience_seconds` is shown as one that waits."""
        self._folder = folder
        self._sink_health = sink_health
        self._name = name
        self._patience_seconds = patience_seconds
        self._purpose = ""
        self._since = 0.0
        self._shown: Health | None = None
        self._lock: int | None = None
        self._file: int | None = None
        self._guard = threading.Lock()
        """Held around a write and the close: a cancelled write goes on in its thread, and a closed descriptor may
        belong to another file by then."""
        self._is_unshown = False
        """Whether the last write failed."""

    async def keep(self) -> None:
        """Look after both until cancelled."""
        try:
            while True:
                if self._lock is None:
                    self._lock = self._take_lock()
                self._look()
                await self.show()
                await asyncio.sleep(self._patience_seconds / _LOOKS_A_PATIENCE)
        finally:
            with self._guard:
                self._close()

    @contextlib.contextmanager
    def attempt(self, purpose: str) -> Iterator[None]:
        """Held around a call in which the sink may hang; `purpose` is for people."""
        self._purpose, self._since = purpose, _now()
        try:
            yield
        finally:
            self._purpose = ""

    async def show(self) -> None:
        """Write the health while `keep` has the lock, unless it was written last."""
        if self._sink_health.health is not self._shown:
            await self._save()

    async def _save(self) -> None:
        try:
            self._shown = await asyncio.to_thread(self._write)
        except OSError as error:
            if not self._is_unshown:
                path = health_path(self._folder.path, self._name)
                SinkStateUnsaved(path, str(error.strerror)).write()
            self._is_unshown = True
        else:
            self._is_unshown = False

    def _write(self) -> Health | None:
        """Write the current health, and return it: the last of two writes has the latest."""
        with self._guard:
            if self._lock is None:
                return None
            if self._file is None:
                self._file = open_health(self._folder.path, self._name)
            health = self._sink_health.health
            save_health(self._file, health)
            return health

    def _close(self) -> None:
        for descriptor in (self._lock, self._file):
            if descriptor is not None:
                self._folder.files.close(descriptor)
        self._lock = self._file = None

    def _look(self) -> None:
        seconds = _now() - self._since
        if self._purpose and seconds >= self._patience_seconds:
            self._sink_health.waits(self._purpose, seconds)

    def _take_lock(self) -> int | None:
        """The lock; None while `collector sink drop` holds it, or there is no room or descriptor for it."""
        path = lock_path(self._folder.path, self._name)
        try:
            make_directories(os.path.dirname(path))
            return self._folder.files.lock(path)
        except (LogLocked, OSError):
            return None


def _now() -> float:
    return asyncio.get_running_loop().time()
