"""What `collector sink` sees of a sink that runs: the file of its health, and a lock that ends with the process."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Iterator
from typing import Final

from collector.ship.circuit import Circuit, Health, health_path, lock_path, save_health
from wal.errors import LogLocked
from wal.files import Files

_LOOKS_A_PATIENCE: Final = 5
"""How often it is looked whether an attempt has used its patience up, while it does."""

logger = logging.getLogger(__name__)


class Presence:
    """Keeps both of one sink in one log. Delivery goes on without them: what fails is tried again at the next look."""

    def __init__(self, files: Files, directory: str, circuit: Circuit, name: str, patience_seconds: float) -> None:
        """An attempt that takes longer than `patience_seconds` is shown as one that waits."""
        self._files = files
        self._directory = directory
        self._circuit = circuit
        self._name = name
        self._patience_seconds = patience_seconds
        self._purpose = ""
        self._since = 0.0
        self._shown: Health | None = None
        self._showing = asyncio.Lock()
        self._is_unshown = False
        """Whether the last write failed."""

    async def keep(self) -> None:
        """Look after both until cancelled."""
        lock: int | None = None
        try:
            while True:
                if lock is None:
                    lock = self._take_lock()
                self._look()
                await self.show()
                await asyncio.sleep(self._patience_seconds / _LOOKS_A_PATIENCE)
        finally:
            if lock is not None:
                self._files.close(lock)

    @contextlib.contextmanager
    def attempt(self, purpose: str) -> Iterator[None]:
        """Around whatever the sink may hang in; `purpose` is for people."""
        self._purpose, self._since = purpose, _now()
        try:
            yield
        finally:
            self._purpose = ""

    async def show(self) -> None:
        """Write the health down, if it is not what was written last."""
        if self._circuit.health is not self._shown:
            async with self._showing:  # two writes at a time would take the temporary file from each other
                await self._save(self._circuit.health)

    async def _save(self, health: Health) -> None:
        try:
            await asyncio.to_thread(save_health, self._directory, self._name, health)
        except OSError as error:
            if not self._is_unshown:
                path = health_path(self._directory, self._name)
                logger.warning("%s: %s; it is written again soon", path, error.strerror)
            self._is_unshown = True
        else:
            self._shown, self._is_unshown = health, False

    def _look(self) -> None:
        seconds = _now() - self._since
        if self._purpose and seconds >= self._patience_seconds:
            self._circuit.waits(self._purpose, seconds)

    def _take_lock(self) -> int | None:
        """The lock; None while `collector sink drop` holds it, or there is no room or descriptor for it."""
        path = lock_path(self._directory, self._name)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            return self._files.lock(path)
        except (LogLocked, OSError):
            return None


def _now() -> float:
    return asyncio.get_running_loop().time()
