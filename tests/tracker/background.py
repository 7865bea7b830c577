"""An event loop in a thread: sockets of browsers, pages and proxies live on it, and tests call it from theirs."""

import asyncio
import threading
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")
PATIENCE_SECONDS = 60.0


class Background:
    """The loop. Close it at the end, after what lives on it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="background", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], seconds: float = PATIENCE_SECONDS) -> T:
        """The result of a coroutine. Raises TimeoutError if it takes longer."""
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result(seconds)
        except TimeoutError:
            future.cancel()
            raise

    def close(self) -> None:
        """Stop the loop. Idempotent."""
        if not self.loop.is_closed():
            self.run(self._end())
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join()
            self.loop.close()

    async def _end(self) -> None:
        """End what still waits for a browser that is gone."""
        await cancel(each for each in asyncio.all_tasks() if each is not asyncio.current_task())


async def cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Return once the tasks have ended, and the loop has closed their sockets."""
    ended = [*tasks]
    for each in ended:
        each.cancel()
    await asyncio.gather(*ended, return_exceptions=True)
    await asyncio.sleep(0)
