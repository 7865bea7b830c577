"""The books of a node: events by day, property and fate, from the counters and, where these do not reach, from the log.

Counters restart with the supervisor. What of the log no counter has is read in short steps beside all else; of what
was rejected and shed then, nothing is known.
"""

import contextlib
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from collector.ops.console.accounts.counters import STORED_CODE, counts_in, places_in, unknown_in
from collector.ops.console.accounts.lines import CountedPart, PropertyOfDay, events_from, letters_from
from collector.ops.console.accounts.logs import Logs
from collector.ops.console.accounts.open_events import OpenEvents, OpenEventsWatch
from collector.ops.console.accounts.rows import DEAD_CODE, REDRIVEN_CODE, PendingEvents, account_row, covered_since
from collector.ops.console.accounts.store import DAY_MS, KEPT_DAYS, AccountStore, Gap, RefusedEvent
from collector.ops.console.accounts.unknown_names import UnknownNames
from collector.ops.console.folder import report_memory
from collector.ops.counters import CounterBlock, Key, summed
from wal.errors import WalError, cause_of
from wal.folder import LogFolder

DAYS: Final = 30
PAGE_ROWS: Final = 200
_SAVE_MS: Final = 10_000
"""How often the time up to which counters are saved is written while nothing changes."""
_STEP_SECONDS: Final = 0.02


class AccountBooks:
    """The books. For one thread. Every method raises sqlite3.Error."""

    def __init__(self, store: AccountStore, logs: Logs, blocks: Sequence[CounterBlock], boot_ms: int) -> None:
        """`blocks` are those of all workers, `boot_ms` the start of the supervisor."""
        self._store = store
        self._logs = logs
        self._boot_ms = boot_ms
        self._counted = store.begin(boot_ms)
        self._unknown = UnknownNames(store, blocks)
        self._saved_ms = 0
        self._day = 0
        self._open = OpenEventsWatch()
        self._gap: tuple[Gap, Iterator[CountedPart]] | None = None
        self._unreadable: set[Gap] = set()
        self._is_read = False
        """Whether all dead letters and redriven events are counted."""
        for folder in logs.of_workers():
            with contextlib.suppress(WalError, OSError):
                store.find_log(folder.log_id.decode(), boot_ms)

    def save(self, unix_ms: int, counters: Sequence[Mapping[Key, int]]) -> None:
        """Save the counts since the last call. `counters` are those of each worker."""
        sums = summed(counters)
        self._open.look(unix_ms, sums)
        counts = counts_in(sums)
        differences = {
            account: events - self._counted.get(account, 0)
            for account, events in counts.items()
            if events != self._counted.get(account, 0)
        }
        if differences or unix_ms - self._saved_ms >= _SAVE_MS:
            places = self._logs.by_id(places_in(counters))
            self._store.save(self._boot_ms, unix_ms, counts, differences, places)
            self._counted, self._saved_ms = counts, unix_ms
        self._unknown.save(unknown_in(sums), unix_ms)
        if unix_ms // DAY_MS != self._day:
            self._day = unix_ms // DAY_MS
            self._store.drop_before(self._day - KEPT_DAYS + 1)

    def step(self) -> bool:
        """Read logs for _STEP_SECONDS of CPU. Returns whether there is more to read."""
        deadline = time.thread_time() + _STEP_SECONDS
        letters = [self._count_letters(folder, deadline) for folder in self._logs.of_dead_letters()]
        redriven = [self._count_redriven(folder, deadline) for folder in self._logs.of_redrives()]
        self._is_read = all(letters + redriven)
        return self._fill_gap(deadline) or not self._is_read

    def accounts(self, first_day: int, last_day: int, after: int, text: str, unix_ms: int) -> dict[str, Any]:
        """The accounts of these days: PAGE_ROWS rows after the first `after`, of properties whose name has `text`."""
        store, today = self._store, unix_ms // DAY_MS
        counts, pending = store.events(first_day, last_day), self._pending(first_day, last_day)
        opened = self._open_events(first_day, last_day, unix_ms)
        rows = [
            account_row(
                prop,
                counts.get(prop, {}),
                opened.get(prop),
                None if pending is None else pending.get(prop, PendingEvents()),
                is_read=self._is_read,
            )
            for prop in counts.keys() | {prop for prop, open_events in opened.items() if open_events.events}
            if text in prop
        ]
        rows.sort(key=lambda row: (-row["received"], row["property"]))
        page = rows[after : after + PAGE_ROWS]
        return {
            "from_ms": first_day * DAY_MS,
            "to_ms": (last_day + 1) * DAY_MS,
            **self._known(first_day),
            "rows": [row | {"days": self._days(row["property"], today)} for row in page],
            "unknown": [
                {"property": unknown.name, "requests": unknown.requests, "first_ms": unknown.first_ms}
                for unknown in store.unknown(first_day, last_day)
            ],
            "warnings": self._logs.warnings(),
            "next": str(after + PAGE_ROWS) if len(rows) > after + PAGE_ROWS else None,
            "properties": len(rows),
        }

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def _open_events(self, first_day: int, last_day: int, unix_ms: int) -> dict[str, OpenEvents]:
        """The events without an outcome, of the properties of these days that have counters. They came today."""
        if (last_day + 1) * DAY_MS <= self._boot_ms:
            return {}
        opened = self._open.open_events(unix_ms)
        if first_day <= unix_ms // DAY_MS <= last_day:
            return opened
        return {prop: open_events._replace(events=0) for prop, open_events in opened.items()}

    def _pending(self, first_day: int, last_day: int) -> dict[str, PendingEvents] | None:
        """The events of these days that sinks wait for, by property; None where that is not known."""
        backlog = self._logs.backlog()
        if backlog is None:
            return None
        events: Counter[str] = Counter()
        for (day, prop), number in backlog.events.items():
            if first_day <= day <= last_day:
                events[prop] += number
        refused = self._store.refused_from(backlog.places, first_day, last_day)
        return {prop: PendingEvents(events[prop], refused[prop]) for prop in events.keys() | refused.keys()}

    def _known(self, first_day: int) -> dict[str, Any]:
        """Since when the numbers are complete: None where that is from the beginning of the days on."""
        from_ms, (origin_ms, is_whole) = first_day * DAY_MS, self._logs.origin()
        since = covered_since(self._store.boots(), from_ms, origin_ms if is_whole else None)
        stored = None if since is None else min(since, origin_ms or since)
        return {
            "unknown_before_ms": since,
            "stored_unknown_before_ms": stored if stored is not None and stored > from_ms else None,
            "is_reading": any(gap not in self._unreadable for gap in self._store.gaps()) or not self._is_read,
        }

    def _days(self, prop: str, today: int) -> list[int | None]:
        """The events received on each of the last days, oldest first; None before the first day that is known."""
        found = self._store.days(prop, today - DAYS + 1, (DEAD_CODE, REDRIVEN_CODE))
        begun = [begin // DAY_MS for begin, _ in self._store.boots()]
        known = min([*begun, *([first] if (first := self._store.first_day()) is not None else [])], default=today)
        return [found.get(day, 0) if day >= known else None for day in range(today - DAYS + 1, today + 1)]

    def _fill_gap(self, deadline: float) -> bool:
        """Read on in the newest gap. Returns whether there is more to read, there or in another."""
        current = self._gap or self._next_gap()
        if current is None:
            return False
        gap, parts = current
        events: Counter[PropertyOfDay] = Counter()
        is_done = True
        try:
            for part in parts:
                events += part.events
                gap = gap._replace(next=part.place.sequence)
                if time.thread_time() >= deadline:
                    is_done = False
                    break
        except (WalError, OSError):
            self._unreadable.add(gap)  # the next process tries it again
            is_done = False
        self._store.fill(gap, _with_code(events, STORED_CODE), is_done=is_done)
        self._gap = None if is_done or gap in self._unreadable else (gap, parts)
        return True

    def _next_gap(self) -> tuple[Gap, Iterator[CountedPart]] | None:
        for gap in self._store.gaps():
            folder = self._logs.with_id(gap.log)
            if gap not in self._unreadable and folder:
                return gap, events_from(folder, gap.next, gap.until_ms)
        return None

    def _count_letters(self, folder: LogFolder, deadline: float) -> bool:
        """Count dead letters of sinks that are new. Returns whether these are all."""
        try:
            log = folder.log_id.decode()
            start, refused = self._store.place_in(log), list[RefusedEvent]()
            place, is_done = start, True
            for part in letters_from(folder, start):
                place, is_done = part.place, time.thread_time() < deadline
                refused += part.events
                if not is_done:
                    break
            if place and place != start:
                self._store.add_letters(log, place, refused, DEAD_CODE)
        except (WalError, OSError):
            return False
        return is_done

    def _count_redriven(self, folder: LogFolder, deadline: float) -> bool:
        """Count redriven events that are new. Returns whether these are all."""
        try:
            log = folder.log_id.decode()
            start, events = self._store.place_in(log), Counter[PropertyOfDay]()
            place, is_done = start, True
            for part in events_from(folder, start.sequence if start else 0, sys.maxsize):
                place, is_done = part.place, time.thread_time() < deadline
                events += part.events
                if not is_done:
                    break
            if place and place != start:
                self._store.add_until(log, place, _with_code(events, REDRIVEN_CODE))
        except (WalError, OSError):
            return False
        return is_done


def _with_code(events: Mapping[PropertyOfDay, int], code: str) -> dict[tuple[int, str, str], int]:
    return {(day, prop, code): number for (day, prop), number in events.items()}


def open_books(path: str, logs: Logs, blocks: Sequence[CounterBlock], boot_ms: int) -> AccountBooks:
    """The books in a file; in memory where it can't be used."""
    try:
        return AccountBooks(AccountStore(path), logs, blocks, boot_ms)
    except OSError as error:
        report_memory(path, cause_of(error))
    except sqlite3.Error as error:
        report_memory(path, str(error))
    return AccountBooks(AccountStore(":memory:"), logs, blocks, boot_ms)
