"""A response in parts, which ends with its connection."""

import asyncio
from collections.abc import Callable

from collector.http.deadline import Deadline


class Stream:
    """Parts that an application writes while a client reads. The connection calls `begin` or `leave` first."""

    def __init__(self) -> None:
        self.head = b""
        """The first bytes to send."""
        self.stop: Callable[[], object] = lambda: None
        """Ends the work of the application, which may write a last part."""
        self._transport: asyncio.Transport | None = None
        self._has_ended = False
        self._is_writable = asyncio.Event()
        self._has_left = asyncio.Event()

    def begin(self, transport: asyncio.Transport, deadline: Deadline) -> None:
        """Send the head at once, and the parts as they come."""
        self._transport, self._deadline = transport, deadline
        transport.write(self.head)
        if not deadline.is_write_paused:
            self._is_writable.set()
        if self._has_ended:
            self.end()

    def pause(self) -> None:
        """Hold the next part back: the client does not read."""
        self._is_writable.clear()

    def resume(self) -> None:
        """Send parts again."""
        self._is_writable.set()

    def leave(self) -> None:
        """The client has left: drop all parts. Idempotent."""
        self._transport = None
        self._has_left.set()
        self._is_writable.set()

    async def wait_until_left(self) -> None:
        """Return when the client has left."""
        await self._has_left.wait()

    async def write(self, part: bytes) -> None:
        """Send a part, once the client has read most of those before."""
        await self._is_writable.wait()
        if self._transport is not None:
            self._transport.write(part)
        await asyncio.sleep(0)  # else a loop of writes keeps all else from running, also after its client has left

    def end(self) -> None:
        """Close the connection when the client has read the last part. Idempotent."""
        self._has_ended = True
        if self._transport is not None:
            self._deadline.extend()
            self._transport.close()
            self._transport = None
