"""`collector sink`: how far each sink is in each log, and letting go of one that is gone."""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

from collector.errors import BadSettings
from collector.settings import Settings
from collector.ship.health import health_path, load_health, lock_path
from wal.errors import LogLocked, WalError
from wal.files import Files, make_directories
from wal.folder import LogFolder, find_logs
from wal.tools.listing import Lag, lag_of


class SinkCondition(NamedTuple):
    """The state of a sink's health, or why there is none; since when (Unix ms), and its last error."""

    state: str
    since_ms: int | None
    error: str


class Status(NamedTuple):
    """A sink in one log; `state` is that of its health, or why there is none, `since_ms` (Unix ms) its begin."""

    sink: str
    directory: str
    state: str
    since_ms: int | None
    next: int | None
    lag: Lag | None
    error: str


def statuses(settings: Settings, is_held: Callable[[LogFolder], bool] = LogFolder.is_locked) -> Iterator[Status]:
    """Every sink that has a cursor, log after log. Raises FileNotFoundError where there is no log, OSError.

    `is_held` tells whether a process holds a log. The default tries its lock, so a worker that starts just then may
    take another shard. A log or cursor that can't be read hides no other: its sinks are `unreadable`.
    """
    for folder in find_logs(Files(), settings.log.dir):
        try:
            held, names = is_held(folder), folder.consumers()
        except OSError as error:
            yield from (_unreadable(folder, sink.name, error) for sink in settings.sink)
        else:
            yield from (_status(settings, folder, name, held=held) for name in names)


def drop(settings: Settings, name: str) -> list[str]:
    """Drop the cursors of a sink that is not in the settings any more; returns the logs that held segments for it.

    Raises BadSettings, also while a collector that was started with other settings ships to it; OSError.
    """
    if name in [sink.name for sink in settings.sink]:
        raise BadSettings(f"sink {name} is in the settings; take it out there, restart the collector, then drop it")
    known = [folder for folder in find_logs(Files(), settings.log.dir) if name in folder.consumers()]
    if not known:
        raise BadSettings(f"no log below {settings.log.dir} has a cursor of {name}; `collector sink ls` lists them")
    with contextlib.ExitStack() as locks:
        for folder in known:
            locks.callback(folder.files.close, _lock(folder, name))
        for folder in known:
            folder.drop_cursor(name)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(health_path(folder.path, name))
    return [folder.path for folder in known]


def _lock(folder: LogFolder, name: str) -> int:
    """The lock that a shipper of this sink holds while it lives. Its file stays: another may be about to lock it."""
    path = lock_path(folder.path, name)
    make_directories(os.path.dirname(path))
    try:
        return folder.files.lock(path)
    except LogLocked:
        raise BadSettings(
            f"{folder.path}: a collector that still has sink {name} in its settings ships to it; restart the collector "
            "with the settings as they are now, then drop it"
        ) from None


def state_of(settings: Settings, folder: LogFolder, name: str, *, held: bool) -> SinkCondition:
    """The state of a sink in one log, which a process holds or not."""
    if name not in [sink.name for sink in settings.sink]:
        return SinkCondition("not in the settings", None, f"`collector sink drop {name}` lets go of its segments")
    health = load_health(folder.path, name)
    if health is None or not (held or health.state == "stopped"):
        return SinkCondition("not running", None, "")
    return SinkCondition(health.state, health.since_ms, health.error)


def _status(settings: Settings, folder: LogFolder, name: str, *, held: bool) -> Status:
    state, since_ms, error = state_of(settings, folder, name, held=held)
    try:
        cursor = folder.cursor(name)
        behind = lag_of(folder, cursor) if cursor else None
    except (WalError, OSError) as fault:
        return _unreadable(folder, name, fault)
    return Status(name, folder.path, state, since_ms, cursor.acked.sequence if cursor else None, behind, error)


def _unreadable(folder: LogFolder, name: str, fault: Exception) -> Status:
    return Status(name, folder.path, "unreadable", None, None, None, str(fault))
