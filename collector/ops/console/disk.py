"""Reads what the disk holds of a node: free space, how far each sink is, and dead letters. Blocks.

Cheap enough for every few seconds: of the logs it reads cursors, the block at each, and headers that are new.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import Final

from collector.ops.console.reading import DiskReading, SinkLag
from collector.ops.console.walk import HeaderWalk
from collector.ops.status import SinkStatus, sink_statuses
from collector.settings import Settings
from wal.cursor import Cursor
from wal.errors import WalError
from wal.files import Files
from wal.folder import LogFolder, find_logs
from wal.format import Position
from wal.log import now_ms
from wal.tools.follow import start_of_selection
from wal.tools.listing import Lag, lag_of
from wal.tools.select import Selection

_HEADERS: Final = 20_000
"""Headers that one reading may read of a log, 0.1 s."""
_MINUTE_MS: Final = 60_000
_DAY_MINUTES: Final = 24 * 60


class DiskWatch:
    """Reads again and again, in one thread."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        """`clock` gives seconds, and never goes back."""
        self._clock = clock
        self._settings = settings
        self._walks: dict[str, HeaderWalk] = {}
        """One for each log, by its folder."""
        self._letters: Counter[int] = Counter()
        """Dead letters by minute."""

    def read(self, serving: Collection[str | None]) -> DiskReading:
        """What is there now. `serving`: the shard of each worker, None where it has none yet. Raises OSError."""
        begun, settings = self._clock(), self._settings
        room = Files().room(settings.log.dir)
        sinks = tuple(sink_statuses(settings, serving, self._lag))
        names = [sink.name for sink in settings.sink]
        known = [sink for sink in sinks if sink.sink in names]
        return DiskReading(
            begun,
            room.bytes,
            room.all_bytes,
            sinks,
            {name: _sink_lag([sink for sink in known if sink.sink == name]) for name in names},
            *_of_slowest(known),
            self._dead_letters(),
        )

    def _lag(self, folder: LogFolder, cursor: Cursor) -> Lag:
        return lag_of(folder, cursor, self._end(folder))

    def _end(self, folder: LogFolder) -> Position | None:
        """The end of a log; None if it has to be found by reading the last segment."""
        walk = self._walks.get(folder.path)
        if walk is None:
            names = folder.segments()
            if not names:
                return None
            walk = self._walks[folder.path] = HeaderWalk(folder, names[-1].start)
        while len(walk.read(_HEADERS)) == _HEADERS:
            pass
        return walk.end

    def _dead_letters(self) -> int | None:
        """The dead letters of the last 24 h, to the minute; None where they can't be read, or are not counted yet."""
        now = now_ms() // _MINUTE_MS
        try:
            folders = find_logs(Files(), self._settings.dead_letters.dir)
            are_counted = [self._count_letters(folder) for folder in folders]
        except FileNotFoundError:
            return 0
        except (WalError, OSError):
            return None
        for minute in [minute for minute in self._letters if minute <= now - _DAY_MINUTES]:
            del self._letters[minute]
        return self._letters.total() if all(are_counted) else None

    def _count_letters(self, folder: LogFolder) -> bool:
        """Count the dead letters of a log that are new. Returns whether these are all."""
        walk = self._walks.get(folder.path)
        if walk is None:
            start = start_of_selection(folder, Selection(since_ms=now_ms() - _DAY_MINUTES * _MINUTE_MS))
            if start is None:
                return True
            walk = self._walks[folder.path] = HeaderWalk(folder, start)
        headers = walk.read(_HEADERS)
        for header in headers:
            self._letters[header.timestamp_ms // _MINUTE_MS] += header.records
        return len(headers) < _HEADERS


def _sink_lag(sinks: Iterable[SinkStatus]) -> SinkLag:
    """The lag of one sink in all its shards."""
    events, seconds = [sink.lag_events for sink in sinks], [sink.lag_seconds for sink in sinks]
    return SinkLag(
        None if None in events else sum(each or 0 for each in events),
        None if None in seconds else max((each or 0.0 for each in seconds), default=0.0),
    )


def _of_slowest(sinks: Iterable[SinkStatus]) -> tuple[int | None, int | None]:
    """The events that every sink has, and those that one waits for; None without a sink, or if a cursor is broken."""
    shards: dict[str, list[SinkStatus]] = {}
    for sink in sinks:
        shards.setdefault(sink.shard, []).append(sink)
    delivered = pending = 0
    for found in shards.values():
        for sink in found:
            if sink.next_sequence is None or sink.lag_events is None:
                return None, None
        delivered += min(sink.next_sequence or 1 for sink in found) - 1
        pending += max(sink.lag_events or 0 for sink in found)
    return (delivered, pending) if shards else (None, None)
