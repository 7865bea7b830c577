"""The values of the series of a node, from two readings of it. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from collector.ops.console.node.reading import DiskReading
from collector.ops.counters import Key
from collector.ops.histogram import bucket_names
from collector.ops.metric import BILLION, Metric
from collector.ops.metric_table import (
    CLIENT_LOST,
    COMMIT_SECONDS,
    DUPLICATE,
    PRESSURE,
    RECEIVED,
    REJECTED,
    REQUEST_SECONDS,
    SHED,
    STORED,
    UNKNOWN,
)

_EVENTS: Final = {
    "received": RECEIVED.name,
    "stored": STORED.name,
    "rejected": REJECTED.name,
    "shed": SHED.name,
    "duplicate": DUPLICATE.name,
    "client_lost": CLIENT_LOST.name,
}
_TIMES: Final = {"request": REQUEST_SECONDS, "commit": COMMIT_SECONDS}
NAMES: Final = (
    *_EVENTS,
    "delivered",
    *(f"{name}_{percentile}" for name in _TIMES for percentile in ("p50", "p99")),
    "pressure",
    "disk_free",
    "pending",
    "cpu",
    "memory",
)
"""The series that every node has: events a second, ms, a share, bytes, events, cores, bytes."""
_OF_CODE: Final = "code."
_CPU_OF, _MEMORY_OF = "cpu.", "memory."
_EVENTS_OF, _SECONDS_OF = "lag_events.", "lag_seconds."
"""Beginnings of the names of other series: for a code of refusals, the place of a worker, the name of a sink."""
NOT_FOUND: Final = "not_found"
_MS: Final = 1000.0

Values = Mapping[str, float | None]
"""The value of each series; None where it is not known."""


class CounterSums(NamedTuple):
    """The counters of all workers that series are made of."""

    events: Mapping[str, int]
    """By name of the metric."""
    codes: Mapping[str, int]
    """Refused, shed and unknown by code."""
    buckets: Mapping[str, list[int]]
    """Of each of _TIMES."""
    pressure: float
    """That of the shard with the most."""


class NodeReading(NamedTuple):
    """A reading of a node. `seconds` are those of a monotonic clock."""

    seconds: float
    sums: CounterSums
    cpu: Mapping[int, float]
    """CPU seconds of each worker, by its place."""
    memory: Mapping[int, int]
    """Resident bytes of each worker."""
    disk: DiskReading | None
    """None where there is no news of it."""


def sums_of(counters: Mapping[Key, int]) -> CounterSums:
    """The sums of the counters of all workers together."""
    events: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    pressure = 0
    for (name, *labels), value in counters.items():
        if name == PRESSURE.name:
            pressure = max(pressure, value)
        elif name == UNKNOWN.name:
            codes[NOT_FOUND] += value
        elif name in (REJECTED.name, SHED.name):
            codes[labels[2]] += value
            events[name] += value
        elif name in (RECEIVED.name, STORED.name, DUPLICATE.name, CLIENT_LOST.name):
            events[name] += value
    return CounterSums(
        events,
        codes,
        {name: _buckets(counters, metric) for name, metric in _TIMES.items()},
        pressure / BILLION,
    )


def values_between(before: NodeReading, after: NodeReading) -> dict[str, float | None]:
    """The value of each series at the second reading, and since the first."""
    seconds = after.seconds - before.seconds
    values: dict[str, float | None] = dict.fromkeys(NAMES)
    for name, counter in _EVENTS.items():
        values[name] = (after.sums.events.get(counter, 0) - before.sums.events.get(counter, 0)) / seconds
    values |= {f"{_OF_CODE}{code}": rate for code, rate in codes_between(before, after).items()}
    for name, metric in _TIMES.items():
        counts = [now - then for now, then in zip(after.sums.buckets[name], before.sums.buckets[name], strict=True)]
        for percentile, share in (("p50", 0.5), ("p99", 0.99)):
            value = quantile(counts, metric.bounds, share)
            values[f"{name}_{percentile}"] = None if value is None else value * _MS
    values["pressure"] = after.sums.pressure
    values |= _of_processes(before, after, seconds)
    values |= dict(_of_disk(before.disk, after.disk))
    return values


def codes_between(before: NodeReading, after: NodeReading) -> dict[str, float]:
    """Refused and shed events a second, by code, without zeros."""
    seconds, earlier = after.seconds - before.seconds, before.sums.codes
    return {
        code: (value - earlier.get(code, 0)) / seconds
        for code, value in after.sums.codes.items()
        if value > earlier.get(code, 0)
    }


def quantile(counts: Sequence[int], bounds: Sequence[float], share: float) -> float | None:
    """The value below which this share of a histogram is, between the bounds of its bucket; None if it is empty.

    Values over the highest bound count as that.
    """
    rank = share * sum(counts)
    if rank <= 0:
        return None
    below = 0
    for at, count in enumerate(counts[:-1]):
        if count and below + count >= rank:
            low = bounds[at - 1] if at else 0.0
            return low + (bounds[at] - low) * (rank - below) / count
        below += count
    return bounds[-1]


def _buckets(counters: Mapping[Key, int], metric: Metric) -> list[int]:
    return [counters.get((metric.name, bound), 0) for bound in bucket_names(metric)]


def _of_processes(before: NodeReading, after: NodeReading, seconds: float) -> Values:
    """CPU of a worker that has started between the readings counts from its start."""
    values: dict[str, float | None] = {}
    for place, spent in after.cpu.items():
        earlier = before.cpu.get(place, 0.0)
        values[f"{_CPU_OF}{place}"] = (spent - (earlier if earlier <= spent else 0.0)) / seconds
    if before.cpu:
        values["cpu"] = sum(value for value in values.values() if value is not None)
    values |= {f"{_MEMORY_OF}{place}": float(value) for place, value in after.memory.items()}
    if after.memory:
        values["memory"] = float(sum(after.memory.values()))
    return values


def _of_disk(before: DiskReading | None, after: DiskReading | None) -> Iterator[tuple[str, float | None]]:
    if after is None:
        return
    yield "disk_free", float(after.free)
    yield "pending", after.pending
    for name, lag in after.lags.items():
        yield f"{_EVENTS_OF}{name}", lag.events
        yield f"{_SECONDS_OF}{name}", lag.seconds
    if before and before.delivered is not None and after.delivered is not None and after.seconds > before.seconds:
        yield "delivered", max(0.0, (after.delivered - before.delivered) / (after.seconds - before.seconds))
