"""Work that would delay all other requests: few long bodies at a time, in slices or in a thread."""

import asyncio
import os
import time
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")
Item = TypeVar("Item")
Pause = TypeVar("Pause")

SLICE_BYTES: Final = 128 << 10
"""Bytes of a body to process between two looks at the clock: 0.5 to 1.5 ms of work, whatever their shape."""
SLICE_SECONDS: Final = 0.002
"""Length of a slice, after which other requests run. A pause costs the caller its data in the processor's caches."""
_LONG_SLICE_SECONDS: Final = 0.005
LARGE_BYTES: Final = 1 << 20
"""A body of this size has a slice of its own for each step. Blocks of this size are written to the disk one at a time,
so that the next request waits for one such write at most."""

_NICENESS: Final = 10
"""That of the threads that ship."""
_COMPUTING: Final = ThreadPoolExecutor(1, "computing", initializer=os.nice, initargs=(_NICENESS,))
"""One thread: of several that compute, each would hold the interpreter for a while before the event loop gets it."""


class LongWork:
    """Processes few long bodies at a time, and of these one slice in a turn of the event loop. The others wait."""

    def __init__(self, at_once: int) -> None:
        """A body being processed may take three times its bytes: inflated, as events and as records."""
        self.turns = asyncio.Semaphore(at_once)
        """Held during all work on a long body."""
        self.large = asyncio.Lock()
        """Held while a large block is written to the disk."""
        self._slices = asyncio.Lock()
        self._rest = 0.0
        """Seconds without slices after a long one."""

    async def pause(self) -> None:
        """Let other requests run; returns when the caller's next slice may run."""
        async with self._slices:
            await asyncio.sleep(self._rest)

    def took(self, seconds: float) -> None:
        """Note how long a slice took.

        Some can't be cut: to read 5 MiB takes 20 ms. A request needs several turns of the event loop, and each could
        have such a slice, so none runs for as long again.
        """
        self._rest = seconds if seconds > _LONG_SLICE_SECONDS else 0.0


def sliced(call: Callable[[Item], T], items: Iterable[Item]) -> Generator[None, None, list[T]]:
    """The results of a call for each item; yields when other requests may run."""
    found, begun = [], time.perf_counter()
    for item in items:
        found.append(call(item))
        if time.perf_counter() - begun > SLICE_SECONDS:
            yield
            begun = time.perf_counter()
    return found


def joined(parts: Iterable[bytes], pause: Pause) -> Generator[Pause, None, bytes]:
    """The parts as one; yields `pause` when other requests may run. Making a part may take long, even an empty one."""
    found, begun = [], time.perf_counter()
    for part in parts:
        if part:
            found.append(part)
        if time.perf_counter() - begun > SLICE_SECONDS:
            yield pause
            begun = time.perf_counter()
    return b"".join(found)


async def computed(length: int, call: Callable[[], T]) -> T:
    """The result of a call that processes `length` bytes; a long one runs in a thread, which gives way to requests."""
    return call() if length <= SLICE_BYTES else await asyncio.get_running_loop().run_in_executor(_COMPUTING, call)
