"""Two readings of a node as the values of its series."""

import pytest

from collector.ops.console.node.rates import NAMES, NodeReading, quantile, sums_of, values_between
from collector.ops.console.node.reading import DiskReading, SinkLag
from collector.ops.counters import CounterBlock, summed
from collector.ops.histogram import Histogram
from collector.ops.metric_table import (
    CLIENT_LOST,
    DUPLICATE,
    PRESSURE,
    RECEIVED,
    REJECTED,
    REQUEST_SECONDS,
    SHED,
    STORED,
    UNKNOWN,
)


def _disk(seconds: float, delivered: int | None, pending: int | None = 3) -> DiskReading:
    return DiskReading(seconds, 5000, 9000, (), {"kafka": SinkLag(pending, 1.5)}, delivered, pending, 0)


def _reading(seconds: float, *blocks: CounterBlock, cpu: float = 0.0, disk: DiskReading | None = None) -> NodeReading:
    return NodeReading(
        seconds, sums_of(summed(map(CounterBlock.read, blocks))), {0: cpu, 1: 2 * cpu}, {0: 100, 1: 50}, disk
    )


def test_what_was_counted_between_two_readings_becomes_rates() -> None:
    blocks = [CounterBlock.create() for _ in range(2)]
    for block in blocks:
        block.add(1000, RECEIVED.name, "1", "2")
        block.add(7, REJECTED.name, "1", "2", "forbidden")
    first = _reading(10.0, *blocks, cpu=1.0, disk=_disk(9.0, 100))
    blocks[0].add(20, RECEIVED.name, "1", "2")
    blocks[1].add(4, RECEIVED.name, "1", "3")
    blocks[0].add(10, STORED.name, "1", "2")
    blocks[0].add(2, REJECTED.name, "1", "2", "forbidden")
    blocks[1].add(4, REJECTED.name, "1", "2", "invalid_event")
    blocks[1].add(4, SHED.name, "1", "3", "unavailable")
    blocks[1].add(4, DUPLICATE.name, "1", "3")
    blocks[1].add(6, UNKNOWN.name)
    blocks[1].add(8, CLIENT_LOST.name, "1", "3")
    blocks[0].add(250_000_000, PRESSURE.name, "00")
    blocks[1].add(500_000_000, PRESSURE.name, "01")
    values = values_between(first, _reading(12.0, *blocks, cpu=1.5, disk=_disk(11.0, 140)))
    found = {name: value for name, value in values.items() if value is not None}
    assert found == {
        "received": 12.0,
        "stored": 5.0,
        "rejected": 3.0,
        "shed": 2.0,
        "duplicate": 2.0,
        "client_lost": 4.0,
        "delivered": 20.0,
        "code.forbidden": 1.0,
        "code.invalid_event": 2.0,
        "code.unavailable": 2.0,
        "code.not_found": 3.0,
        "pressure": 0.5,
        "disk_free": 5000.0,
        "pending": 3,
        "lag_events.kafka": 3,
        "lag_seconds.kafka": 1.5,
        "cpu.0": 0.25,
        "cpu.1": 0.5,
        "cpu": 0.75,
        "memory.0": 100.0,
        "memory.1": 50.0,
        "memory": 150.0,
    }
    assert values.keys() >= set(NAMES)


def test_percentiles_are_of_the_requests_between_the_readings_alone() -> None:
    block = CounterBlock.create()
    seconds = Histogram(block, REQUEST_SECONDS)
    for _ in range(1000):
        seconds.observe(5.0)
    first = _reading(1.0, block)
    for _ in range(98):
        seconds.observe(0.0008)
    for _ in range(2):
        seconds.observe(0.2)
    values = values_between(first, _reading(2.0, block))
    assert values["request_p50"] == pytest.approx(0.5102, abs=0.001)
    assert values["request_p99"] == pytest.approx(175.0)
    assert values["commit_p50"] is None, "there was no commit"


@pytest.mark.parametrize(
    ("counts", "share", "value"),
    [
        ([0, 0, 0], 0.5, None),
        ([10, 0, 0], 0.5, 0.5),
        ([10, 10, 0], 0.5, 1.0),
        ([0, 10, 0], 0.99, 2.98),
        ([1, 0, 9], 0.99, 3.0),
    ],
)
def test_a_quantile_lies_between_the_bounds_of_its_bucket(counts: list[int], share: float, value: float | None) -> None:
    assert quantile(counts, (1.0, 3.0), share) == (None if value is None else pytest.approx(value))


def test_the_disk_is_unknown_where_there_is_no_news_of_it_and_without_a_sink_nothing_is_delivered() -> None:
    block = CounterBlock.create()
    first = _reading(1.0, block, disk=_disk(1.0, None, None))
    values = values_between(first, _reading(2.0, block))
    assert [values[name] for name in ("disk_free", "pending", "delivered")] == [None, None, None]
    values = values_between(first, _reading(2.0, block, disk=_disk(2.0, None, None)))
    assert [values[name] for name in ("disk_free", "pending", "delivered")] == [5000.0, None, None]


def test_the_cpu_of_a_worker_that_was_replaced_counts_from_its_start() -> None:
    block = CounterBlock.create()
    values = values_between(_reading(1.0, block, cpu=50.0), _reading(2.0, block, cpu=0.1))
    assert values["cpu.0"] == pytest.approx(0.1)
