"""The gauges of a worker, set once a second."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from collector.dedup.index import IndexStats
from collector.ops.counters import CounterBlock
from collector.ops.metric import BILLION
from collector.ops.metric_table import (
    CONNECTIONS,
    DEDUP_BYTES,
    DEDUP_ENTRIES,
    DEDUP_FORGOTTEN,
    DEDUP_OLDEST,
    IN_FLIGHT,
    LARGEST,
    LOOP_DELAY,
    PRESSURE,
)

_SECONDS: Final = 1.0
_GAUGES: Final = frozenset(metric.name for metric in (CONNECTIONS, IN_FLIGHT, PRESSURE, *LARGEST))


class Load(NamedTuple):
    """The load of a worker now. `shard` is None until its log is open."""

    connections: int
    in_flight_bytes: int
    shard: str | None
    pressure: float


async def set_forever(block: CounterBlock, load: Callable[[], Load]) -> None:
    """Set the gauges once a second until cancelled; then they are 0."""
    try:
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(_SECONDS)
            _set(block, load(), max(0.0, time.perf_counter() - begun - _SECONDS))
    finally:
        reset(block)


async def set_ids_forever(block: CounterBlock, stats: Callable[[], Awaitable[IndexStats | None]]) -> None:
    """Set the gauges of the index of event ids, and count the ids that the worker has forgotten, until cancelled.

    Apart from the others, since `stats` waits for the disk.
    """
    forgotten = 0
    while True:
        await asyncio.sleep(_SECONDS)
        if ids := await stats():
            _set_ids(block, ids)
            # a counter goes on where an earlier worker left it
            block.values[block.slot(DEDUP_FORGOTTEN.name)] += ids.forgotten - forgotten
            forgotten = ids.forgotten


def reset(block: CounterBlock) -> None:
    """Set the gauges that an earlier worker left, maybe of another shard, to 0."""
    for key in block.read():
        if key[0] in _GAUGES:
            block.values[block.slot(*key)] = 0


def _set(block: CounterBlock, load: Load, delay_seconds: float) -> None:
    values = block.values
    values[block.slot(CONNECTIONS.name)] = load.connections
    values[block.slot(IN_FLIGHT.name)] = load.in_flight_bytes
    values[block.slot(LOOP_DELAY.name)] = int(delay_seconds * BILLION)
    if load.shard is not None:
        values[block.slot(PRESSURE.name, load.shard)] = int(load.pressure * BILLION)


def _set_ids(block: CounterBlock, ids: IndexStats) -> None:
    values = block.values
    values[block.slot(DEDUP_ENTRIES.name)] = ids.entries
    values[block.slot(DEDUP_BYTES.name)] = ids.bytes
    age_ms = 0 if ids.oldest_ms is None else max(0, int(time.time() * 1000) - ids.oldest_ms)
    values[block.slot(DEDUP_OLDEST.name)] = age_ms * (BILLION // 1000)
