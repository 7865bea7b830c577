"""Counts the responses of a worker by path and status, and times them.

The clock is read once for each callback of the event loop, not for each request: a reading and the bucket of a time
serve all requests that became whole in one turn and whose events are in one block.
"""

import time

from collector.http.routes import Routes
from collector.ops.counters import CounterBlock
from collector.ops.histogram import Histogram
from collector.ops.metric import BILLION
from collector.ops.metric_table import OTHER, REQUEST_SECONDS, REQUESTS


class Meter:
    """One for a worker. Both HTTP faces call `count` just before a response is written."""

    def __init__(self, block: CounterBlock, routes: Routes) -> None:
        self._block = block
        self._values = block.values
        self._routes = routes
        self._slots: dict[bytes, dict[int, int]] = {path: {} for path in routes}
        self._others: dict[int, int] = {}
        self._seconds = Histogram(block, REQUEST_SECONDS)
        self._sum_slot = self._seconds.sum_slot
        self._whole_at = self._counted_at = 0.0
        self._bucket, self._nanoseconds = self._seconds.bucket(0.0), 0
        self.now = 0.0
        """When the current callback began, in seconds of `time.perf_counter`."""
        self.tick()

    def tick(self) -> None:
        """Read the clock. Call it when a callback begins that parses requests or writes responses."""
        self.now = time.perf_counter()

    def count(self, path: bytes, status: int, whole_at: float) -> None:
        """Count a response. `whole_at`: `now` when the last byte of its request came; 0 if it did not wait for that."""
        statuses = self._slots.get(path)
        slot = statuses.get(status) if statuses is not None else None
        if slot is None:
            slot = self._slot(path, status)
        values = self._values
        values[slot] += 1
        if whole_at != self._whole_at or self.now != self._counted_at:
            self._whole_at, self._counted_at = whole_at, self.now
            seconds = self.now - whole_at if whole_at else 0.0
            self._bucket, self._nanoseconds = self._seconds.bucket(seconds), int(seconds * BILLION)
        values[self._bucket] += 1
        values[self._sum_slot] += self._nanoseconds

    def _slot(self, path: bytes, status: int) -> int:
        known = self._routes.known(path)
        statuses = self._others if known is None else self._slots[known]
        if status not in statuses:
            label = OTHER if known is None else known.decode()
            statuses[status] = self._block.slot(REQUESTS.name, label, str(status))
        return statuses[status]
