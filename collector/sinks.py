"""`collector sink`: how far each sink is in each log, and letting go of one that is gone."""

import contextlib
import os
from collections.abc import Iterator
from typing import NamedTuple

from collector.config import Settings
from collector.errors import BadSettings
from collector.ship.circuit import health_path, load_health
from wal.cursor import consumers, drop_cursor, load_cursor
from wal.errors import WalError
from wal.files import Files
from wal.follow import logs
from wal.identity import read_log_id
from wal.listing import Lag, lag_of
from wal.verify import is_held


class Status(NamedTuple):
    """A sink in one log; `state` is that of its circuit, or why there is none, `since_ms` (Unix ms) its begin."""

    sink: str
    directory: str
    state: str
    since_ms: int | None
    next: int | None
    lag: Lag | None
    error: str


def statuses(settings: Settings) -> Iterator[Status]:
    """Every sink that has a cursor, log after log. Raises FileNotFoundError where there is no log, OSError."""
    files = Files()
    for directory in logs(files, settings.log.dir):
        held = is_held(files, directory)
        for name in consumers(files, directory):
            yield _status(settings, files, directory, name, held=held)


def drop(settings: Settings, name: str) -> list[str]:
    """Drop the cursors of a sink that is not in the settings any more; returns the logs that held segments for it.

    Raises BadSettings, OSError.
    """
    if name in [sink.name for sink in settings.sink]:
        raise BadSettings(f"sink {name} is in the settings; take it out there, restart the collector, then drop it")
    files = Files()
    dropped = [directory for directory in logs(files, settings.log.dir) if drop_cursor(files, directory, name)]
    if not dropped:
        raise BadSettings(f"no log below {settings.log.dir} has a cursor of {name}; `collector sink ls` lists them")
    for directory in dropped:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(health_path(directory, name))
    return dropped


def _status(settings: Settings, files: Files, directory: str, name: str, *, held: bool) -> Status:
    health = load_health(directory, name) if held else None
    if name not in [sink.name for sink in settings.sink]:
        state, since_ms, error = "not in the settings", None, f"`collector sink drop {name}` lets go of its segments"
    elif health is None:
        state, since_ms, error = "not running", None, ""
    else:
        state, since_ms, error = health.state, health.since_ms, health.error
    try:
        log_id = read_log_id(files, directory)
        cursor = load_cursor(files, directory, log_id, name)
        lag = lag_of(files, directory, log_id, cursor) if cursor else None
    except WalError as fault:
        return Status(name, directory, "unreadable", None, None, None, str(fault))
    return Status(name, directory, state, since_ms, cursor.acked.sequence if cursor else None, lag, error)
