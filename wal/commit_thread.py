"""The thread that calls the log, so that an fsync does not hold up the event loop.

Runs one action at a time. It does not know the queue: the committer starts the next action when one is done.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final

from wal.errors import LogPoisoned, WalError
from wal.pending_block import PendingBlock

COMMIT_DELAY_SECONDS: Final = 0.0003
"""Pause after a block of several appends, so that the clients it answered are in the next block too. It makes blocks
twice as large: `python -m bench connections delay` measures the gain."""


class CommitThread:
    """A daemon thread. Its callbacks run in the event loop that creates it."""

    def __init__(
        self,
        path: str,
        on_done: Callable[[PendingBlock, WalError | None], None],
        on_delay_over: Callable[[], None],
    ) -> None:
        """`path` names the log in messages.

        `on_done` gets each block with the error of its action, if there was one. `on_delay_over` follows after
        COMMIT_DELAY_SECONDS if the block had several appends.
        """
        self._path = path
        self._on_done = on_done
        self._on_delay_over = on_delay_over
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[tuple[Callable[[], None], PendingBlock] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"commit {path}", daemon=True)
        self._thread.start()

    def start(self, action: Callable[[], None], block: PendingBlock) -> None:
        """Run `action`, the commit of `block`. The one before must be done."""
        self._jobs.put((action, block))

    def end(self) -> None:
        """Wait for the action that runs, and end the thread."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while job := self._jobs.get():
            self._do(*job)
            del job  # otherwise the thread would hold it, and all that its error refers to, until the next one

    def _do(self, action: Callable[[], None], block: PendingBlock) -> None:
        fault: WalError | None = None
        begun = time.perf_counter()
        try:
            action()
        except WalError as error:
            fault = error
        except Exception as error:
            fault = LogPoisoned(f"{self._path}: {error!r} in the commit thread; restart to recover")
        block.seconds = time.perf_counter() - begun
        self._loop.call_soon_threadsafe(self._report, block, fault)
        if len(block.lines) > 1:
            time.sleep(COMMIT_DELAY_SECONDS)
            self._loop.call_soon_threadsafe(self._on_delay_over)

    def _report(self, block: PendingBlock, fault: WalError | None) -> None:
        """Call `on_done` in the event loop. A bug in it poisons the log, or no commit would ever start again."""
        try:
            self._on_done(block, fault)
        except Exception as error:
            self._on_done(block, LogPoisoned(f"{self._path}: {error!r} after a commit; restart to recover"))
