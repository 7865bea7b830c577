"""Reads the node once a second, and keeps the series of the last hour.

Counters and /proc are read in the event loop, within a millisecond. The disk may hang, so a thread of its own reads it,
and its last reading counts for a few seconds only.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from collector.ops.console.folder import report_memory
from collector.ops.console.node.disk import DiskWatch
from collector.ops.console.node.rates import NAMES, NodeReading, Values, codes_between, sums_of, values_between
from collector.ops.console.node.reading import DiskReading
from collector.ops.console.node.series import COARSE_LENGTH, COARSE_SECONDS, FINE_LENGTH, FINE_SECONDS, SeriesRing
from collector.ops.console.node.series_file import SeriesFile
from collector.ops.counters import CounterBlock, Key, summed
from collector.ops.metrics_of_processes import usage_of
from collector.server.node_state import NodeState
from collector.settings import Settings
from wal.errors import WalError, cause_of
from wal.log import now_ms

T = TypeVar("T")

_FILE: Final = "series"
_DISK_SECONDS: Final = 2.0
NEWS_SECONDS: Final = 5.0
"""An older reading is not shown as the state now."""
_LATE: Final = 0.005
"""Seconds after a full second at which it is read: a timer may be early by less."""
_SHORTEST: Final = 0.1
_NICENESS: Final = 5
"""In addition to that of the admin process."""


class Sampler:
    """Samples the node. Create it anywhere; `run` and all else belong to one event loop."""

    def __init__(
        self,
        settings: Settings,
        node: Callable[[], NodeState],
        blocks: Sequence[CounterBlock],
        on_counters: Callable[[Sequence[Mapping[Key, int]]], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_counters` gets those of each worker every second. `clock` gives seconds, and never goes back."""
        self.clock = clock
        self.node = node
        self.blocks = tuple(block.again() for block in blocks)
        """Those of all workers."""
        self.fine = SeriesRing(FINE_SECONDS, FINE_LENGTH)
        self.coarse = SeriesRing(COARSE_SECONDS, COARSE_LENGTH)
        self.values: Values = dict.fromkeys(NAMES)
        """The newest sample."""
        self.codes: Mapping[str, float] = {}
        """Refused and shed events a second, by code."""
        self.disk: DiskReading | None = None
        """The last reading, however old."""
        self.read_ms = 0
        """Unix ms of the newest sample."""
        self._on_counters = on_counters
        self._watch = DiskWatch(settings, clock)
        self._before_disk: DiskReading | None = None
        self._before: NodeReading | None = None
        self._before_coarse: NodeReading | None = None
        self._coarse_tick = 0
        self._file: SeriesFile | None = None
        self._thread = ThreadPoolExecutor(1, "console-disk", initializer=os.nice, initargs=(_NICENESS,))

    async def run(self, folder: str | None) -> None:
        """Sample until cancelled. The file of the series is in `folder`, if there is one."""
        looking = asyncio.create_task(self._look_on())
        if folder:
            await self.open_file(os.path.join(folder, _FILE))
        try:
            while True:
                await asyncio.sleep(1.0 + _LATE - time.time() % 1.0)
                if looking.done():
                    looking.result()  # raises the exception of a bug in that task
                self.sample(now_ms())
        finally:
            looking.cancel()
            self._thread.shutdown(wait=False, cancel_futures=True)

    def sample(self, unix_ms: int) -> None:
        """Take the sample of a second."""
        counters = [block.read() for block in self.blocks]
        reading = self._reading(summed(counters))
        before = self._before
        if before and reading.seconds - before.seconds < _SHORTEST:
            return
        self._before, self.read_ms = reading, unix_ms
        self._on_counters(counters)
        if before is None:
            self._before_coarse, self._coarse_tick = reading, unix_ms // 1000 // COARSE_SECONDS
            return
        earlier = before._replace(disk=self._before_disk)
        self.values, self.codes = values_between(earlier, reading), codes_between(earlier, reading)
        self.fine.put(unix_ms // 1000 - 1, self.values)
        self._sample_coarse(unix_ms // 1000 // COARSE_SECONDS, reading)

    async def look(self) -> None:
        """Read the disk."""
        serving = [worker.shard for worker in self.node().workers]
        with contextlib.suppress(OSError, WalError):  # then its news grow old
            reading = await self._in_thread(self._watch.read, serving)
            self._before_disk, self.disk = self.disk, reading

    def disk_news(self) -> DiskReading | None:
        """The last reading of the disk, unless it is too old."""
        disk = self.disk
        return disk if disk and self.clock() - disk.seconds <= NEWS_SECONDS else None

    async def _look_on(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(_DISK_SECONDS)

    async def open_file(self, path: str) -> None:
        """Go on with the coarse series in a file, and keep them there, if that is possible."""
        try:
            self._file = await self._in_thread(SeriesFile, path, self.coarse)
        except OSError as error:
            report_memory(path, cause_of(error))

    async def _in_thread(self, call: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)

    def _sample_coarse(self, tick: int, reading: NodeReading) -> None:
        """Sample ten seconds when they are over.

        They are a sample of their own: the percentiles of them all are not the mean of those of each.
        """
        before, ended = self._before_coarse, self._coarse_tick
        if tick == ended:
            return
        self._coarse_tick, self._before_coarse = tick, reading
        if before is None or reading.seconds - before.seconds < COARSE_SECONDS / 2:
            return
        values = values_between(before, reading)
        self.coarse.put(ended, values)
        if self._file:
            self._thread.submit(self._write, self._file, ended, values)  # the disk may hang: do not wait for it

    @staticmethod
    def _write(file: SeriesFile, tick: int, values: Values) -> None:
        with contextlib.suppress(OSError):
            file.write(tick, values)

    def _reading(self, counters: Mapping[Key, int]) -> NodeReading:
        cpu: dict[int, float] = {}
        memory: dict[int, int] = {}
        for worker in self.node().workers:
            if worker.pid is not None:
                with contextlib.suppress(OSError):
                    cpu[worker.place], memory[worker.place] = usage_of(worker.pid)
        return NodeReading(self.clock(), sums_of(counters), cpu, memory, self.disk_news())
