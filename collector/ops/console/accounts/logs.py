"""The logs of a node as the accounts need them: by id, with their backlog, their beginning and their damage. Blocks."""

import os
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from collector.dead_letters.ledger import REDRIVE_LOG
from collector.ops.console.accounts.lines import MOST_BACKLOG_BYTES, PropertyOfDay, backlog_of
from collector.settings import Settings
from wal.damage import read_ledger
from wal.errors import WalError
from wal.files import Files
from wal.folder import LogFolder, logs_at
from wal.tools.listing import bytes_between, opened_ms

_BACKLOG_SECONDS: Final = 2.0
_MOST_WARNINGS: Final = 20
_FIRST_SEGMENT: Final = 1


class WaitingEvents(NamedTuple):
    """What sinks wait for."""

    events: Counter[PropertyOfDay]
    places: dict[str, int]
    """The first sequence of each log that a sink waits for, by log id."""


class Logs:
    """The logs of events and of dead letters. For one thread."""

    def __init__(self, settings: Settings, config: str) -> None:
        """`config` is the path of the settings file."""
        self._settings = settings
        self._config = config
        self._folders: dict[str, LogFolder] = {}
        """By shard: each reads its id once."""
        self._backlog: tuple[float, WaitingEvents | None] = (0.0, None)

    def of_events(self) -> list[LogFolder]:
        """The shards; empty where there is none, or they can't be listed."""
        return _logs(self._settings.log.dir)

    def of_workers(self) -> list[LogFolder]:
        """The shards without the log of redriven events."""
        return [folder for folder in self.of_events() if os.path.basename(folder.path) != REDRIVE_LOG]

    def of_redrives(self) -> list[LogFolder]:
        """The log of redriven events, if there is one."""
        return [folder for folder in self.of_events() if os.path.basename(folder.path) == REDRIVE_LOG]

    def of_dead_letters(self) -> list[LogFolder]:
        """The logs of dead letters."""
        return _logs(self._settings.dead_letters.dir)

    def with_id(self, log: str) -> LogFolder | None:
        """The shard that has this id."""
        for folder in self.of_events():
            if self.by_id({os.path.basename(folder.path): 0}).keys() == {log}:
                return folder
        return None

    def by_id(self, places: Mapping[str, int]) -> dict[str, int]:
        """Sequences by log id, from those by shard. Shards whose id can't be read are left out."""
        found = {}
        for shard, sequence in places.items():
            folder = self._folders.setdefault(shard, LogFolder(Files(), os.path.join(self._settings.log.dir, shard)))
            try:
                found[folder.log_id.decode()] = sequence
            except (WalError, OSError):
                continue
        return found

    def backlog(self) -> WaitingEvents | None:
        """The events that a sink waits for.

        None without sinks, where a cursor can't be read, and for a backlog that is too long to be counted at once.
        """
        if not self._settings.sink:
            return None
        if time.monotonic() - self._backlog[0] > _BACKLOG_SECONDS:
            self._backlog = (time.monotonic(), self._read_backlog())
        return self._backlog[1]

    def origin(self) -> tuple[int | None, bool]:
        """When the oldest segment was begun, in Unix ms, and whether all segments of all logs are still there."""
        times: list[int] = []
        is_whole = True
        for folder in self.of_events():
            try:
                if names := folder.segments():
                    is_whole &= names[0].number == _FIRST_SEGMENT
                    if (begun_ms := opened_ms(folder, names[0])) is not None:
                        times.append(begun_ms)
            except (WalError, OSError):
                is_whole = False
        return min(times, default=None), is_whole

    def warnings(self) -> list[dict[str, Any]]:
        """Events that were lost to damage, and the command that tells which sinks lack them."""
        found = []
        for folder in self.of_events():
            try:
                name, damages = folder.log_id.decode(), read_ledger(folder).entries
            except (WalError, OSError):
                continue
            for damage in damages:
                if damage.lost:
                    first, last = damage.start.sequence, damage.end.sequence - 1
                    text = f"shard {os.path.basename(folder.path)} lost events to damage: {name}-{first} to {last}"
                    found.append(
                        {"property": "", "message": text, "command": f"collector audit --config {self._config}"}
                    )
        return found[-_MOST_WARNINGS:]

    def _read_backlog(self) -> WaitingEvents | None:
        names = [sink.name for sink in self._settings.sink]
        found = WaitingEvents(Counter(), {})
        try:
            for folder in self.of_events():
                cursors = [cursor for name in names if (cursor := folder.cursor(name))]
                segments = folder.segments()
                if not cursors or not segments:
                    continue
                slowest = min(cursors, key=lambda cursor: cursor.settled)
                start = slowest.acked
                size = os.path.getsize(folder.segment_file(segments[-1]))
                end = segments[-1].start._replace(offset=size)
                if start < end and bytes_between(folder, start, end) > MOST_BACKLOG_BYTES:
                    return None
                found.events.update(backlog_of(folder, slowest))
                found.places[folder.log_id.decode()] = slowest.settled
        except (WalError, OSError):
            return None
        return found


def _logs(directory: str) -> list[LogFolder]:
    try:
        return logs_at(Files(), directory)
    except OSError:
        return []
