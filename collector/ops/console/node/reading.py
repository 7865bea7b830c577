"""The state of a node on its disk at one moment, as the console shows it. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

from collector.ops.status import SinkStatus


class SinkLag(NamedTuple):
    """How far a sink is behind, in all shards; None where a cursor can't be read."""

    events: float | None
    seconds: float | None


class DiskReading(NamedTuple):
    """Free space, sinks and dead letters. Bytes are those of the file system of the log."""

    seconds: float
    """When the reading began, by a monotonic clock."""
    free: int
    total: int
    sinks: tuple[SinkStatus, ...]
    """Each sink in each shard."""
    lags: Mapping[str, SinkLag]
    """Of the sinks in the settings, by name."""
    delivered: int | None
    """Events that every sink has, of all shards; None if there is no sink, or one whose cursor can't be read."""
    pending: int | None
    """Events that a sink has not got; of each shard, those of its slowest sink."""
    dead: int | None
    """Dead letters of the last 24 h; None until they are counted."""
