"""Notices for the process log about mistakes that clients can repeat: counted, so that no client can fill the disk.

A worker has one `Notices`, calls `count` at every refusal, and writes the events that are due about once a second:

    notices = Notices()
    notices.count(UnknownProperty, f"{portal_id}/{prop_id}")
    for event in notices.due(loop.time()):
        event.write()

Call `shed(reason)` for each shed request. At a stop, `due(now, is_last=True)` returns the remaining counts.
Times are seconds of a monotonic clock. `count` and `shed` read no clock, write nothing and allocate a key at most: they
take 0.2 us.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from collector.process_log.event import ProcessLogEvent, name_of
from collector.process_log.of_requests import CountsLeftOut, Repeated, SheddingBegan, SheddingEnded, SheddingGoesOn

OTHERS: Final = "(others)"
_MOST_KEYS: Final = 1000
_LONGEST_KEY: Final = 64
_MOST_LINES: Final = 20
"""Lines a minute for counts. One more line sums up the counts left out, and shedding has at most 12 lines."""
_MINUTE: Final = 60.0
_QUIET_SECONDS: Final = 10.0
"""Shedding has ended after this long without a shed request, so that a node at its limit does not log every second."""

Fact = type[Repeated]
Key = tuple[Fact, str]


class Notices:
    """Counts of facts and of shed requests, and the times when they were logged."""

    def __init__(self) -> None:
        self._counts: dict[Key, int] = {}
        self._logged: dict[Key, float] = {}
        self._lines = _Budget()
        self._shedding = _Shedding()

    def count(self, fact: Fact, key: str, number: int = 1) -> None:
        """Count a fact about `key`, such as a property as the client names it. Keys beyond 1,000 share one count."""
        counts, pair = self._counts, (fact, key[:_LONGEST_KEY])
        if pair not in counts and len(counts) >= _MOST_KEYS:
            pair = (fact, OTHERS)
        counts[pair] = counts.get(pair, 0) + number

    def shed(self, reason: str) -> None:
        """Count a shed request. `reason` is one of a few texts of the collector, never a client's."""
        counts = self._shedding.counts
        counts[reason] = counts.get(reason, 0) + 1

    def due(self, now: float, *, is_last: bool = False) -> list[ProcessLogEvent]:
        """The events to write now: first occurrences, counts of the last minute, and shedding."""
        due = [*self._shedding.due(now, is_last=is_last), *self._lines.left_out(now, is_last=is_last)]
        for pair, number in list(self._counts.items()):
            last = self._logged.get(pair)
            if last is None or now - last >= _MINUTE or (is_last and number):
                due += self._event(pair, number, last, now)
        return due

    def _event(self, pair: Key, number: int, last: float | None, now: float) -> Iterator[ProcessLogEvent]:
        """The event for a count. A key without counts for a minute is removed: its next one is a first again."""
        if number == 0:
            del self._counts[pair], self._logged[pair]
            return
        self._counts[pair] = 0
        self._logged[pair] = now
        fact, key = pair
        if self._lines.take(now, fact, number):
            yield fact(key, number, None if last is None else now - last)


class _Budget:
    """The lines that may be logged in a minute; counts beyond them are summed up by fact."""

    def __init__(self) -> None:
        self._begun = 0.0
        self._taken = 0
        self._left_out: Counter[Fact] = Counter()

    def take(self, now: float, fact: Fact, number: int) -> bool:
        """Take a line; if there is none, sum up its count and return False."""
        if self._taken == 0:
            self._begun = now
        if self._taken < _MOST_LINES:
            self._taken += 1
            return True
        self._left_out[fact] += number
        return False

    def left_out(self, now: float, *, is_last: bool) -> Iterator[ProcessLogEvent]:
        """At the end of a minute, the event about the counts left out, if any. Then a new minute can begin."""
        if self._taken and (is_last or now - self._begun >= _MINUTE):
            if self._left_out:
                counts = {name_of(fact): number for fact, number in self._left_out.most_common()}
                yield CountsLeftOut(counts, _MOST_LINES, now - self._begun)
            self._taken = 0
            self._left_out.clear()


class _Shedding:
    """The current spell of shedding: its times, and the shed requests by reason."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        """Shed requests by reason since the last call of `due`."""
        self._all: Counter[str] = Counter()
        self._begun = self._last = self._logged = 0.0

    def due(self, now: float, *, is_last: bool) -> Iterator[ProcessLogEvent]:
        """The event that shedding has begun, goes on after another minute, or has ended."""
        was_shedding = bool(self._all)
        if self.counts:
            self._all.update(self.counts)
            self.counts.clear()
            self._last = now
        if self._all and not was_shedding:
            self._begun = self._logged = now
            yield SheddingBegan(self._summed_up())
        if self._all and (is_last or now - self._last >= _QUIET_SECONDS):
            yield SheddingEnded(self._summed_up(), self._last - self._begun)
            self._all.clear()
        elif self._all and now - self._logged >= _MINUTE:
            self._logged = now
            yield SheddingGoesOn(self._summed_up(), now - self._begun)

    def _summed_up(self) -> dict[str, int]:
        return dict(self._all.most_common())
