"""Work that would hold up all other requests: few long bodies at a time, each in slices, or in a thread."""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

SLICE_BYTES: Final = 128 << 10
"""Of a body that are worked on before the clock is asked: 0.5 to 1.5 ms, whatever their shape."""
SLICE_SECONDS: Final = 0.002
"""After this long others have their turn. Each turn costs the caller its place in the processor's caches."""
LARGE_BYTES: Final = 1 << 20
"""A body of this size has a slice of its own for each step. A block of this size is on its way to the disk alone: the
next request waits for no second one."""


class LongWork:
    """Few long bodies are in work at a time, and of these one slice in a turn of the event loop. The others wait."""

    def __init__(self, at_once: int) -> None:
        """Each of those in work may take three times its bytes: inflated, as events and as records."""
        self.turns = asyncio.Semaphore(at_once)
        """Held around all work on a long body."""
        self.large = asyncio.Lock()
        """Held while a large block is on its way to the disk."""
        self._slices = asyncio.Lock()

    async def pause(self) -> None:
        """Let everybody else have their turn; returns when the next slice of the caller may run."""
        async with self._slices:
            await asyncio.sleep(0)


async def computed(length: int, call: Callable[[], T]) -> T:
    """The result of a call that works on so many bytes: many of them in a thread, which gives way to requests."""
    return call() if length <= SLICE_BYTES else await asyncio.to_thread(call)
