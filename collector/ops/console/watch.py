"""Watches the node for the console: sampler, accounts and rows of refusals, with their threads and files."""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from collector.ops.console.accounts.accounts import AccountBooks, open_books
from collector.ops.console.accounts.logs import Logs
from collector.ops.console.folder import open_folder
from collector.ops.console.live.refusal_rows import RefusalRows
from collector.ops.console.node.now import now_sample
from collector.ops.console.node.sampler import Sampler
from collector.ops.counters import CounterBlock, Key
from collector.server.node_state import NodeState
from collector.settings import Settings
from wal.log import now_ms

T = TypeVar("T")

_FILE: Final = "accounts.sqlite"
_SAVE_SECONDS: Final = 1.0
_STEP_PAUSE: Final = 0.2
"""Seconds after each step of reading, which takes a tenth of that."""
_NICENESS: Final = 5
"""In addition to that of the admin process."""


class Watch:
    """Create it anywhere, which touches no file. All else belongs to one event loop."""

    def __init__(
        self, settings: Settings, config: str, node: Callable[[], NodeState], blocks: Sequence[CounterBlock]
    ) -> None:
        """`config` is the path of the settings file, `blocks` are the counters of all workers."""
        self._settings = settings
        self._logs = Logs(settings, config)
        self._counters: Sequence[Mapping[Key, int]] = ()
        self._books: AccountBooks | None = None
        self._thread = ThreadPoolExecutor(1, "console-accounts", initializer=os.nice, initargs=(_NICENESS,))
        self.sampler = Sampler(settings, node, blocks, self._take)
        self.refusals: Final = RefusalRows(self.sampler.blocks).read
        """Gives the refusals since its last call as rows of the live list."""

    def samples(self) -> dict[str, Any]:
        """The data of the message `now`."""
        return now_sample(self.sampler, self._settings.log.min_free_bytes)

    async def run(self) -> None:
        """Watch until cancelled. Raises the exception of a bug."""
        folder = await self._in_thread(open_folder, self._settings.admin.dir)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.sampler.run(folder))
            tasks.create_task(self._keep_accounts(os.path.join(folder, _FILE) if folder else ":memory:"))

    async def accounts(self, first_day: int, last_day: int, after: int, text: str) -> dict[str, Any] | None:
        """The accounts of these days, see `AccountBooks.accounts`; None while they can't be read."""
        if self._books is None:
            return None
        try:
            return await self._in_thread(self._books.accounts, first_day, last_day, after, text, now_ms())
        except sqlite3.Error:
            return None

    def _take(self, counters: Sequence[Mapping[Key, int]]) -> None:
        self._counters = counters

    async def _keep_accounts(self, path: str) -> None:
        blocks, boot_ms = self.sampler.blocks, self.sampler.node().started_ms
        self._books = books = await self._in_thread(open_books, path, self._logs, blocks, boot_ms)
        try:
            while True:
                has_more = False
                with contextlib.suppress(sqlite3.Error):  # the disk is full, say: what is not saved yet waits
                    if self._counters:
                        await self._in_thread(books.save, now_ms(), self._counters)
                    has_more = await self._read_on(books)
                await asyncio.sleep(_STEP_PAUSE if has_more else _SAVE_SECONDS)
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def _read_on(self, books: AccountBooks) -> bool:
        """Read logs in steps for the time between two saves. Returns whether there is more to read."""
        for _ in range(int(_SAVE_SECONDS / _STEP_PAUSE)):
            if not await self._in_thread(books.step):
                return False
            await asyncio.sleep(_STEP_PAUSE)
        return True

    async def _in_thread(self, call: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)
