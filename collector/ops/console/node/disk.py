"""Reads the state of a node on its disk: free space, how far each sink is, and dead letters. Blocks.

Cheap enough for every few seconds: of the logs it reads cursors, the block at each, their last bytes, and the dead
letters that are new.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from contextlib import closing
from typing import Final

from collector.ops.console.node.reading import DiskReading, SinkLag
from collector.ops.status import SinkStatus, sink_statuses
from collector.settings import Settings
from wal.errors import WalError
from wal.files import Files
from wal.folder import LogFolder, logs_at
from wal.format import Position
from wal.log import now_ms
from wal.reader import Reader
from wal.tools.follow import start_of_selection
from wal.tools.select import Selection
from wal.tools.verify import Finding, read_on

_CPU_SECONDS: Final = 0.1
"""For the dead letters in one reading. 100 MB of them are read in that time."""
_MINUTE_MS: Final = 60_000
_DAY_MINUTES: Final = 24 * 60


class DiskWatch:
    """Reads again and again, in one thread."""

    def __init__(
        self, settings: Settings, clock: Callable[[], float], cpu_clock: Callable[[], float] = time.thread_time
    ) -> None:
        """`clock` gives seconds, and never goes back; `cpu_clock` those that this thread has computed."""
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._settings = settings
        self._counted: dict[str, Position] = {}
        """Up to where the letters of a log are counted, by its folder."""
        self._letters: Counter[int] = Counter()
        """Dead letters by minute."""

    def read(self, serving: Collection[str | None]) -> DiskReading:
        """The state now. `serving`: the shard of each worker, None where it has none yet. Raises OSError."""
        begun, settings = self._clock(), self._settings
        room = Files().room(settings.log.dir)
        sinks = tuple(sink_statuses(settings, serving))
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

    def _dead_letters(self) -> int | None:
        """The dead letters of the last 24 h, to the minute; None where they can't be read, or are not counted yet."""
        now, deadline = now_ms() // _MINUTE_MS, self._cpu_clock() + _CPU_SECONDS
        try:
            folders = logs_at(Files(), self._settings.dead_letters.dir)
            are_counted = [self._count_letters(folder, deadline) for folder in folders]
        except (WalError, OSError):
            return None
        for minute in [minute for minute in self._letters if minute <= now - _DAY_MINUTES]:
            del self._letters[minute]
        return self._letters.total() if all(are_counted) else None

    def _count_letters(self, folder: LogFolder, deadline: float) -> bool:
        """Count the dead letters of a log that are new. Returns False if there are more, for which there is no time."""
        place = self._counted.get(folder.path)
        place = place or start_of_selection(folder, Selection(since_ms=now_ms() - _DAY_MINUTES * _MINUTE_MS))
        if place is None:
            return True
        with closing(Reader(folder, place)) as reader:
            for step in read_on(reader):
                if not isinstance(step, Finding) and step.header.records:
                    self._letters[step.header.timestamp_ms // _MINUTE_MS] += step.header.records
                self._counted[folder.path] = reader.position
                if self._cpu_clock() >= deadline:
                    return False
        return True


def _sink_lag(sinks: Iterable[SinkStatus]) -> SinkLag:
    """The lag of one sink in all its shards."""
    events, seconds = [sink.lag_events for sink in sinks], [sink.lag_seconds for sink in sinks]
    return SinkLag(
        None if None in events else sum(lag or 0 for lag in events),
        None if None in seconds else max((lag or 0.0 for lag in seconds), default=0.0),
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
