"""A histogram in a block of counters."""

from bisect import bisect_left
from typing import Final

from collector.ops.counters import CounterBlock
from collector.ops.metric import Metric

SUM: Final = "_sum"
"""Follows the name of a histogram in that of its sum."""


class Histogram:
    """Counts values by bucket. A bucket holds its own values alone; `render` adds up those below it."""

    def __init__(self, block: CounterBlock, metric: Metric) -> None:
        self._values = block.values
        self._bounds = metric.bounds
        self._scale = metric.scale
        self._slots = [block.slot(metric.name, bound) for bound in bucket_names(metric)]
        self.sum_slot = block.slot(metric.name + SUM)

    def bucket(self, value: float) -> int:
        """The slot that counts a value."""
        return self._slots[bisect_left(self._bounds, value)]

    def observe(self, value: float) -> None:
        """Count a value."""
        self._values[self.bucket(value)] += 1
        self._values[self.sum_slot] += int(value * self._scale)


def bucket_names(metric: Metric) -> list[str]:
    """The upper bounds of a histogram's buckets as OpenMetrics writes them, the last one infinity."""
    return [*(str(float(bound)) for bound in metric.bounds), "+Inf"]
