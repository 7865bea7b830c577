"""Coroutines that wait until more of the log is durable, such as the readers that ship it."""

import asyncio


class Followers:
    """Each waits for the next move of the durable place."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._futures: set[asyncio.Future[None]] = set()

    async def moved(self) -> None:
        """Return after the next `wake`."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._futures.add(future)
        try:
            await future
        finally:
            self._futures.discard(future)

    def wake(self) -> None:
        """Let all that wait go on."""
        for future in self._futures:
            if not future.done():
                future.set_result(None)
