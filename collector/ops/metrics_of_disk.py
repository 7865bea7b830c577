"""Metrics that the data folder holds already: logs, disk, cursors, damage and the health of sinks.

Takes no lock: a worker that starts meanwhile would find its shard held, and take another one.
"""

import contextlib
import os
from collections.abc import Iterator

from collector.ops.counters import Key
from collector.ops.metric_table import (
    DAMAGED,
    DISK_FREE,
    LOG_BYTES,
    LOG_SEGMENTS,
    SINK_DELIVERED,
    SINK_FAILURES,
    SINK_LAG_BYTES,
    SINK_LAG_EVENTS,
    SINK_LAG_SECONDS,
    SINK_UP,
)
from collector.settings import Settings
from collector.ship.health import load_health
from wal.damage import read_ledger
from wal.errors import WalError
from wal.files import Files
from wal.folder import LogFolder, find_logs
from wal.log import now_ms
from wal.tools.listing import lag_of, segment_bytes

Sample = tuple[Key, float]


def disk_samples(settings: Settings) -> dict[Key, float]:
    """The values by metric name and label values. Unreadable ones are left out."""
    samples: dict[Key, float] = {}
    sources = [_disk(settings)]
    with contextlib.suppress(OSError):
        folders = find_logs(Files(), settings.log.dir)
        sources += [_damage(folders), *map(_log, folders)]
        sources += [_sink(folder, sink.name) for folder in folders for sink in settings.sink]
    for source in sources:
        with contextlib.suppress(OSError, WalError):
            samples.update(source)
    return samples


def _disk(settings: Settings) -> Iterator[Sample]:
    yield (DISK_FREE.name,), Files().room(settings.log.dir).bytes


def _damage(folders: list[LogFolder]) -> Iterator[Sample]:
    yield (DAMAGED.name,), sum(entry.lost for folder in folders for entry in read_ledger(folder).entries)


def _log(folder: LogFolder) -> Iterator[Sample]:
    lengths = [length for name in folder.segments() if (length := segment_bytes(folder, name)) is not None]
    yield (LOG_SEGMENTS.name, _shard(folder)), len(lengths)
    yield (LOG_BYTES.name, _shard(folder)), sum(lengths)


def _sink(folder: LogFolder, name: str) -> Iterator[Sample]:
    labels = name, _shard(folder)
    health = load_health(folder.path, name)
    yield (SINK_UP.name, *labels), health is not None and health.state == "up"
    yield (SINK_FAILURES.name, *labels), health.failures if health else 0
    cursor = folder.cursor(name)
    if cursor is None:
        return
    yield (SINK_DELIVERED.name, *labels), cursor.acked.sequence - 1
    lag = lag_of(folder, cursor)
    yield (SINK_LAG_EVENTS.name, *labels), lag.events
    yield (SINK_LAG_BYTES.name, *labels), lag.bytes
    yield (SINK_LAG_SECONDS.name, *labels), lag.age_seconds(now_ms())


def _shard(folder: LogFolder) -> str:
    return os.path.basename(folder.path)
