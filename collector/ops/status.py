"""The status of a node by its data folder: its shards, and how far each sink is. Reads files only; blocks."""

import os
from collections.abc import Collection
from functools import partial
from typing import Final

from msgspec import Struct

from collector.settings import Settings
from collector.ship.status import Status, statuses
from wal.damage import read_ledger
from wal.errors import WalError
from wal.files import Files
from wal.folder import LogFolder, logs_at
from wal.log import now_ms
from wal.tools.listing import end_of_log

_HIDDEN_ERROR: Final = "hidden by admin.redact; the process log has it"
"""A receiver may quote an event in its refusal."""


class ShardStatus(Struct, frozen=True):
    """A log on the disk. Where it can't be read, `error` says why."""

    shard: str
    next_sequence: int | None = None
    segments: int = 0
    bytes: int = 0
    """Of all its segments."""
    damaged_events: int = 0
    last_damage: str | None = None
    error: str | None = None


class SinkStatus(Struct, frozen=True):
    """A sink in one shard. None where its cursor can't be read."""

    sink: str
    shard: str
    state: str
    """As `collector sink ls` has it."""
    since_ms: int | None
    next_sequence: int | None
    lag_events: int | None
    lag_bytes: int | None
    lag_seconds: float | None
    """The age of the oldest event that is not delivered; 0 if there is none."""
    error: str


def shard_statuses(settings: Settings) -> list[ShardStatus]:
    """The state of every shard; empty if there is none yet. Where none can be found, one names the folder and why."""
    try:
        return [_shard_status(folder) for folder in logs_at(Files(), settings.log.dir)]
    except OSError as error:
        return [ShardStatus(settings.log.dir, error=str(error))]


def sink_statuses(settings: Settings, serving: Collection[str | None]) -> list[SinkStatus]:
    """The state of every sink in every shard, none where no shard can be found.

    `serving`: the shard of each worker, None where it has none yet.
    """
    try:
        return [_sink_status(settings, status) for status in statuses(settings, partial(is_held, serving=serving))]
    except OSError:  # there is no log yet, or `shard_statuses` tells why
        return []


def is_held(folder: LogFolder, serving: Collection[str | None]) -> bool:
    """Whether a process writes a shard. Does not try its lock while a worker may want it for its start."""
    if os.path.basename(folder.path) in serving:
        return True
    return None not in serving and folder.is_locked()


def _shard_status(folder: LogFolder) -> ShardStatus:
    shard = os.path.basename(folder.path)
    try:
        names, end = folder.segments(), end_of_log(folder)
        lengths = [os.path.getsize(folder.segment_file(name)) for name in names]
        damages = read_ledger(folder).entries
        return ShardStatus(
            shard,
            next_sequence=end[0].sequence if end else None,
            segments=len(names),
            bytes=sum(lengths),
            damaged_events=sum(damage.lost for damage in damages),
            last_damage=str(damages[-1]) if damages else None,
        )
    except (WalError, OSError) as error:  # an OSError too: a segment may be dropped in between
        return ShardStatus(shard, error=str(error))


def _sink_status(settings: Settings, status: Status) -> SinkStatus:
    lag = status.lag
    return SinkStatus(
        status.sink,
        os.path.basename(status.directory),
        status.state,
        status.since_ms,
        status.next,
        lag.events if lag else None,
        lag.bytes if lag else None,
        lag.age_seconds(now_ms()) if lag else None,
        _HIDDEN_ERROR if status.error and status.since_ms is not None and settings.admin.redact else status.error,
    )
