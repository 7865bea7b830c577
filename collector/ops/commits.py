"""Times the commits of a worker's log of events."""

from collector.ops.counters import CounterBlock
from collector.ops.histogram import Histogram
from collector.ops.metric_table import COMMIT_EVENTS, COMMIT_SECONDS, FSYNC_SECONDS


class CommitMeter:
    """Three histograms of commits."""

    def __init__(self, block: CounterBlock) -> None:
        self._events = Histogram(block, COMMIT_EVENTS)
        self._seconds = Histogram(block, COMMIT_SECONDS)
        self._fsync_seconds = Histogram(block, FSYNC_SECONDS)

    def observe(self, events: int, seconds: float, fsync_seconds: float) -> None:
        """Count a commit; as the `on_commit` of a `Committer`."""
        self._events.observe(events)
        self._seconds.observe(seconds)
        self._fsync_seconds.observe(fsync_seconds)
