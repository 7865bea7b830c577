"""Work that would hold up all other requests: in slices with turns between them, or in a thread."""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

SLICE_BYTES: Final = 256 << 10
"""Of a body that are worked on before others have their turn: 1 to 3 ms, whatever their shape."""


class Slices:
    """Divides long work into slices: in one turn of the event loop one slice of one request runs, and others wait."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def pause(self) -> None:
        """Let everybody else have their turn; returns when the next slice of the caller may run."""
        async with self._lock:
            await asyncio.sleep(0)


async def computed(length: int, call: Callable[[], T]) -> T:
    """The result of a call that works on so many bytes: many of them in a thread, which gives way to requests."""
    return call() if length <= SLICE_BYTES else await asyncio.to_thread(call)
