"""The accounts of 31 days in SQLite. Knows neither counters nor logs. For one thread.

A boot is a start of the supervisor, where all counters begin at 0. Days are those of UTC, as days since 1970.
"""

import contextlib
import os
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from collector.ops.console.accounts.tables import open_tables
from wal.format import Position

DAY_MS: Final = 86_400_000
KEPT_DAYS: Final = 31
OTHERS: Final = "(others)"
_MOST_UNKNOWN: Final = 200
"""Names of properties that do not exist in one day: clients choose them."""
Account = tuple[str, str]
"""A property and a code."""
DayCounts = Mapping[tuple[int, str, str], int]
"""Events by day, property and code."""


class Gap(NamedTuple):
    """Events of a log that no counter has: from sequence `next` on, as far as they were committed before `until_ms`."""

    log: str
    until_ms: int
    next: int


class RefusedEvent(NamedTuple):
    """An event that a sink refused, by its id, with the day on which it was received."""

    log: str
    sequence: int
    day: int
    property: str


class UnknownName(NamedTuple):
    """A property that requests of one day named, although it does not exist."""

    name: str
    requests: int
    first_ms: int


class AccountStore:
    """The tables. Every method but `close` is one transaction, and raises sqlite3.Error."""

    def __init__(self, path: str) -> None:
        """`path` may be `:memory:`. A file that is no database, or a damaged one, is moved aside, to `.damaged`."""
        try:
            self._db = open_tables(path)
        except sqlite3.DatabaseError as error:
            if type(error) is not sqlite3.DatabaseError:  # the disk is full, say: the file may be sound
                raise
            os.replace(path, f"{path}.damaged")
            for end in ("-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path + end)
            self._db = open_tables(path)

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def begin(self, boot_ms: int) -> dict[Account, int]:
        """The counters of this boot when they were saved last. At a new boot, the events since then are a gap."""
        with self._db:
            if self._db.execute("SELECT 1 FROM boots WHERE begin_ms = ?", (boot_ms,)).fetchone() is None:
                self._begin_boot(boot_ms)
            return {(prop, code): events for prop, code, events in self._db.execute("SELECT * FROM counted")}

    def find_log(self, log: str, boot_ms: int) -> None:
        """A log is there. All that it has from before this boot is a gap, unless the log is known."""
        with self._db:
            if self._db.execute("INSERT OR IGNORE INTO logs VALUES (?, 0, NULL)", (log,)).rowcount:
                self._db.execute("INSERT INTO gaps VALUES (?, ?, 0)", (log, boot_ms))

    def save(
        self,
        boot_ms: int,
        unix_ms: int,
        counts: Mapping[Account, int],
        differences: Mapping[Account, int],
        places: Mapping[str, int],
    ) -> None:
        """Save counters of this boot that have changed, the differences of today, and how far they go in each log."""
        with self._db:
            self._add({(unix_ms // DAY_MS, *account): events for account, events in differences.items()})
            self._db.executemany(
                "INSERT OR REPLACE INTO counted VALUES (?, ?, ?)",
                [(*account, counts[account]) for account in differences],
            )
            self._db.execute("UPDATE boots SET end_ms = ? WHERE begin_ms = ?", (unix_ms, boot_ms))
            self._db.executemany(
                "INSERT INTO logs VALUES (?, ?, ?) ON CONFLICT DO UPDATE "
                "SET counted = max(counted, excluded.counted), boot_ms = excluded.boot_ms",
                [(log, sequence, boot_ms) for log, sequence in places.items()],
            )

    def rings(self) -> dict[int, int]:
        """The number of the last refusal of each block that was saved in this boot."""
        with self._db:
            return dict(self._db.execute("SELECT block, number FROM rings").fetchall())

    def add_unknown(self, day: int, names: Iterable[UnknownName], rings: Mapping[int, int]) -> None:
        """Add requests for properties that do not exist. Names beyond _MOST_UNKNOWN a day count together."""
        with self._db:
            known = {name for (name,) in self._db.execute("SELECT name FROM unknown WHERE day = ?", (day,))}
            for unknown in names:
                name = unknown.name if unknown.name in known or len(known) < _MOST_UNKNOWN else OTHERS
                known.add(name)
                self._db.execute(
                    "INSERT INTO unknown VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET requests = requests + ?",
                    (day, name, unknown.requests, unknown.first_ms, unknown.requests),
                )
            self._db.executemany("INSERT OR REPLACE INTO rings VALUES (?, ?)", rings.items())

    def gaps(self) -> list[Gap]:
        """The gaps that are not read yet, the newest first."""
        with self._db:
            found = self._db.execute("SELECT log, until_ms, next FROM gaps ORDER BY until_ms DESC, log")
            return [Gap(*row) for row in found]

    def fill(self, gap: Gap, counts: DayCounts, *, is_done: bool) -> None:
        """Add events of a gap, which are those before `gap.next`."""
        with self._db:
            self._add(counts)
            if is_done:
                self._db.execute("DELETE FROM gaps WHERE log = ? AND until_ms = ?", gap[:2])
                self._db.execute("UPDATE logs SET counted = max(counted, ?) WHERE log = ?", (gap.next, gap.log))
            else:
                self._db.execute("UPDATE gaps SET next = ? WHERE log = ? AND until_ms = ?", (gap.next, *gap[:2]))

    def place_in(self, log: str) -> Position | None:
        """How far the dead letters or redriven events of a log are counted."""
        with self._db:
            row = self._db.execute("SELECT segment, offset, sequence FROM places WHERE log = ?", (log,)).fetchone()
            return Position(*row) if row else None

    def add_until(self, log: str, place: Position, counts: DayCounts) -> None:
        """Add the events up to this place of a log."""
        with self._db:
            self._add(counts)
            self._db.execute("INSERT OR REPLACE INTO places VALUES (?, ?, ?, ?)", (log, *place))

    def add_letters(self, log: str, place: Position, refused: Iterable[RefusedEvent], code: str) -> None:
        """Add the events that sinks refused, up to this place of a log of dead letters. Each event counts once."""
        query = "INSERT OR IGNORE INTO refused VALUES (?, ?, ?, ?)"
        with self._db:
            new = [event for event in refused if self._db.execute(query, event).rowcount]
            self._add(Counter((event.day, event.property, code) for event in new))
            self._db.execute("INSERT OR REPLACE INTO places VALUES (?, ?, ?, ?)", (log, *place))

    def refused_from(self, places: Mapping[str, int], first: int, last: int) -> Counter[str]:
        """The refused events of these days, by property: in each log from a sequence on."""
        query = (
            "SELECT property, count(*) FROM refused WHERE log = ? AND sequence >= ? AND day BETWEEN ? AND ? "
            "GROUP BY property"
        )
        found: Counter[str] = Counter()
        with self._db:
            for log, sequence in places.items():
                found.update(dict(self._db.execute(query, (log, sequence, first, last)).fetchall()))
        return found

    def events(self, first: int, last: int) -> dict[str, dict[str, int]]:
        """Events by property and code, of the days from `first` to `last`."""
        found: dict[str, dict[str, int]] = {}
        query = "SELECT property, code, sum(events) FROM events WHERE day BETWEEN ? AND ? GROUP BY property, code"
        with self._db:
            for prop, code, events in self._db.execute(query, (first, last)):
                found.setdefault(prop, {})[code] = events
        return found

    def days(self, prop: str, first: int, without: tuple[str, str]) -> dict[int, int]:
        """The events of a property by day, without those of two codes."""
        query = (
            "SELECT day, sum(events) FROM events WHERE property = ? AND day >= ? AND code NOT IN (?, ?) GROUP BY day"
        )
        with self._db:
            return dict(self._db.execute(query, (prop, first, *without)).fetchall())

    def unknown(self, first: int, last: int) -> list[UnknownName]:
        """The names of properties that do not exist, the most frequent first."""
        query = (
            "SELECT name, sum(requests), min(first_ms) FROM unknown WHERE day BETWEEN ? AND ? GROUP BY name "
            "ORDER BY 2 DESC, name LIMIT ?"
        )
        with self._db:
            return [UnknownName(*row) for row in self._db.execute(query, (first, last, _MOST_UNKNOWN))]

    def boots(self) -> list[tuple[int, int]]:
        """Begin and end of the time in which counters were saved, of each boot, the newest first. Unix ms."""
        with self._db:
            return self._db.execute("SELECT begin_ms, end_ms FROM boots ORDER BY begin_ms DESC").fetchall()

    def first_day(self) -> int | None:
        """The first day with an event; None if there is none."""
        with self._db:
            (day,) = self._db.execute("SELECT min(day) FROM events").fetchone()
            return None if day is None else int(day)

    def drop_before(self, day: int) -> None:
        """Forget days that are too old."""
        with self._db:
            self._db.execute("DELETE FROM events WHERE day < ?", (day,))
            self._db.execute("DELETE FROM unknown WHERE day < ?", (day,))
            self._db.execute("DELETE FROM refused WHERE day < ?", (day,))
            self._db.execute("DELETE FROM boots WHERE end_ms < ?", (day * DAY_MS,))

    def _begin_boot(self, boot_ms: int) -> None:
        (last,) = self._db.execute("SELECT max(begin_ms) FROM boots").fetchone()
        self._db.execute("DELETE FROM counted")
        self._db.execute("DELETE FROM rings")
        self._db.execute("INSERT INTO boots VALUES (?, ?)", (boot_ms, boot_ms))
        for log, counted, boot in self._db.execute("SELECT log, counted, boot_ms FROM logs").fetchall():
            (newest,) = self._db.execute("SELECT max(until_ms) FROM gaps WHERE log = ?", (log,)).fetchone()
            if newest is None or boot == last:
                self._db.execute("INSERT INTO gaps VALUES (?, ?, ?)", (log, boot_ms, counted))
            else:  # nobody has written to that log since the gap began
                self._db.execute("UPDATE gaps SET until_ms = ? WHERE log = ? AND until_ms = ?", (boot_ms, log, newest))

    def _add(self, counts: DayCounts) -> None:
        self._db.executemany(
            "INSERT INTO events VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET events = events + excluded.events",
            [(*key, events) for key, events in counts.items()],
        )
