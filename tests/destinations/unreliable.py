"""A TCP proxy that passes bytes on as it is told, or drops the connection instead."""

import asyncio
import contextlib
import random
import threading
from collections.abc import Callable

Passes = Callable[[bytes], bytes | None]
"""Called with each piece of bytes on its way: what goes on instead, or None to drop the connection."""


def unchanged(piece: bytes) -> bytes | None:
    """Pass everything on."""
    return piece


class Drops:
    """Drops the connection at so many of the pieces, by chance."""

    def __init__(self, share: float, seed: int) -> None:
        self.dropped = 0
        self._share = share
        self._random = random.Random(seed)

    def __call__(self, piece: bytes) -> bytes | None:
        if self._random.random() >= self._share:
            return piece
        self.dropped += 1
        return None


class Proxy:
    """Listens on `port` of 127.0.0.1 for what goes to `behind`. Close it at the end."""

    def __init__(self, behind: int, *, request: Passes = unchanged, answer: Passes = unchanged) -> None:
        self._request = request
        self._answer = answer
        self._behind = behind
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy")
        self._thread.start()
        listening = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop)
        self._server = listening.result()
        self.port: int = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Drop every connection and stop."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        serving = asyncio.all_tasks() - {asyncio.current_task()}
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            try:
                from_behind, to_behind = await asyncio.open_connection("127.0.0.1", self._behind)
            except OSError:
                writer.transport.abort()
                return
            pumps = [
                asyncio.create_task(_pump(reader, to_behind, self._request)),
                asyncio.create_task(_pump(from_behind, writer, self._answer)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
                for each in (writer, to_behind):
                    each.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passes: Passes) -> None:
    """Returns when the connection is to be dropped, from either side or by decision."""
    while piece := await reader.read(65_536):
        passed = passes(piece)
        if passed is None:
            return
        writer.write(passed)
        await writer.drain()
