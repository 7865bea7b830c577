"""The live rows of a node: a ring that the tail fills while at least one stream is open.

While nobody looks, nothing is read. The tail keeps its places, so that a stream which comes back goes on there.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Final

from collector.ops.console.live.ring import Ring
from collector.ops.console.live.tail import TICK_BUDGET, Tail
from collector.ops.console.live.texts import holding
from collector.ops.console.rows.filters import Filters
from collector.ops.console.rows.redaction import Redaction
from collector.ops.console.rows.rows import EventRow

_TICK_SECONDS: Final = 0.1
_FIRST_BUDGET: Final = 0.15
"""Seconds of CPU for the tick that a stream begins with: enough to fill the ring."""
_NICENESS: Final = 15
"""Of the thread that reads; more than that of the admin process, so that it slows no scrape either."""


class Live:
    """The ring, its numbers and what fills it. Create it anywhere; use it in one event loop."""

    def __init__(self, tail: Tail, redaction: Redaction, refusals: Callable[[], Sequence[EventRow]]) -> None:
        """`refusals` gives the refusals without a record since its last call, oldest first."""
        self.boot = secrets.token_hex(4)
        """Names this ring: numbers of rows mean nothing in another one."""
        self.ring = Ring()
        self.seen = 0
        """Events, dead letters and refusals, counted exactly while a stream is open."""
        self.scanned = 0
        """How many of them were read."""
        self.redaction = redaction
        self._tail = tail
        self._refusals = refusals
        self._watchers = 0
        self._ticking: asyncio.Task[None] | None = None
        self._readings: set[asyncio.Future[None]] = set()
        self._thread = ThreadPoolExecutor(1, "console-tail", initializer=_lower_priority)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Keep the ring filled. Begins when it is up to date."""
        self._watchers += 1
        try:
            await self._tick(_FIRST_BUDGET)
            if self._ticking is None or self._ticking.done():
                self._ticking = asyncio.create_task(self._tick_on())
            yield
        finally:
            self._watchers -= 1

    def check(self) -> None:
        """Raise what ended the ticks, if anything did: then the ring stands still."""
        if self._ticking and self._ticking.done():
            self._ticking.result()

    async def holding(self, rows: Sequence[EventRow], filters: Filters) -> tuple[list[EventRow], int]:
        """The rows whose line holds the text of `filters`, and the number of rows that were looked at."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, holding, rows, filters, self.redaction, TICK_BUDGET)

    async def _tick_on(self) -> None:
        """Tick until nobody watches."""
        await asyncio.sleep(_TICK_SECONDS)
        while self._watchers:
            await self._tick(TICK_BUDGET)
            await asyncio.sleep(_TICK_SECONDS)
        self._tail.close()

    async def _tick(self, budget: float) -> None:
        """Read what is new. Goes on where the caller is cancelled, because nobody reads it again."""
        reading = asyncio.ensure_future(self._read(budget))
        self._readings.add(reading)  # the event loop itself holds no strong reference
        reading.add_done_callback(self._readings.discard)
        await asyncio.shield(reading)

    async def _read(self, budget: float) -> None:
        loop = asyncio.get_running_loop()
        rows, seen, scanned = await loop.run_in_executor(self._thread, self._tail.tick, budget)
        refusals = self._refusals()
        self.ring.extend(_in_order(rows, refusals))
        self.seen += seen + len(refusals)
        self.scanned += scanned + len(refusals)


def _in_order(rows: list[EventRow], refusals: Sequence[EventRow]) -> Sequence[EventRow]:
    """Both, by the time of reception, if there are any refusals: else the order of the commits is kept."""
    return sorted([*rows, *refusals], key=lambda row: row.received_ms) if refusals else rows


def _lower_priority() -> None:
    """Give this thread alone a lower priority, which Linux does for the process 0."""
    os.setpriority(os.PRIO_PROCESS, 0, max(_NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
