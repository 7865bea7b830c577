"""Notices for the process log about events that clients can repeat: counted, so that no client can fill the disk.

A worker has one `Notices`, calls `count` at every refusal, and logs the lines that are due about once a second:

    notices = Notices()
    notices.count(UNKNOWN_PROPERTY, f"{portal_id}/{prop_id}")
    for line in notices.due(loop.time()):
        logger.warning("%s", line)

Call `shed(reason)` for each shed request. At a stop, `due(now, is_last=True)` returns the remaining counts.
Times are seconds of a monotonic clock. `count` and `shed` read no clock, write nothing and allocate a key at most: they
take 0.2 us.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Final

UNKNOWN_PROPERTY: Final = "events refused with 404, unknown property"
TOO_FAST: Final = "events refused with 429, over the rate of property"
FORBIDDEN: Final = "events refused with 403, wrong origin or write key for property"
LOST_CLICK: Final = "clicks redirected without storing their events, of property"
LOST_LETTER: Final = "refused events left no dead letter:"

OTHERS: Final = "(others)"
_MOST_KEYS: Final = 1000
_LONGEST_KEY: Final = 64
_MOST_LINES: Final = 20
"""Lines a minute for counts. One more line sums up the counts left out, and shedding has at most 12 lines."""
_MINUTE: Final = 60.0
_QUIET_SECONDS: Final = 10.0
"""Shedding has ended after this long without a shed request, so that a node at its limit does not log every second."""

Key = tuple[str, str]


class Notices:
    """Counts of facts and of shed requests, and the times when they were logged."""

    def __init__(self) -> None:
        self._counts: dict[Key, int] = {}
        self._logged: dict[Key, float] = {}
        self._lines = _Budget()
        self._shedding = _Shedding()

    def count(self, fact: str, key: str, number: int = 1) -> None:
        """Count a fact about `key`, such as a property as the client names it. Keys beyond 1,000 share one count."""
        counts, pair = self._counts, (fact, key[:_LONGEST_KEY])
        if pair not in counts and len(counts) >= _MOST_KEYS:
            pair = (fact, OTHERS)
        counts[pair] = counts.get(pair, 0) + number

    def shed(self, reason: str) -> None:
        """Count a shed request. `reason` is one of a few texts of the collector, never a client's."""
        counts = self._shedding.counts
        counts[reason] = counts.get(reason, 0) + 1

    def due(self, now: float, *, is_last: bool = False) -> list[str]:
        """The lines to log now: first occurrences, counts of the last minute; shedding that begins, goes on or ends."""
        lines = [*self._shedding.due(now, is_last=is_last), *self._lines.left_out(now, is_last=is_last)]
        for pair, number in list(self._counts.items()):
            last = self._logged.get(pair)
            if last is None or now - last >= _MINUTE or (is_last and number):
                lines += self._line(pair, number, last, now)
        return lines

    def _line(self, pair: Key, number: int, last: float | None, now: float) -> Iterator[str]:
        """The line for a count. A key without counts for a minute is removed, so that its next one is a first again."""
        if number == 0:
            del self._counts[pair], self._logged[pair]
            return
        self._counts[pair] = 0
        self._logged[pair] = now
        if self._lines.take(now, pair[0], number):
            fact, key = pair[0], _printable(pair[1])
            yield f"{fact} {key}: {number}" if last is None else f"{fact} {key}: {number} more in {now - last:.0f} s"


class _Budget:
    """The lines that may be logged in a minute; counts beyond them are summed up by fact."""

    def __init__(self) -> None:
        self._begun = 0.0
        self._taken = 0
        self._left_out: Counter[str] = Counter()

    def take(self, now: float, fact: str, number: int) -> bool:
        """Take a line; if there is none, sum up its count and return False."""
        if self._taken == 0:
            self._begun = now
        if self._taken < _MOST_LINES:
            self._taken += 1
            return True
        self._left_out[fact] += number
        return False

    def left_out(self, now: float, *, is_last: bool) -> Iterator[str]:
        """At the end of a minute, the line about the counts left out, if any. Then a new minute can begin."""
        if self._taken and (is_last or now - self._begun >= _MINUTE):
            if self._left_out:
                facts = "; ".join(f"{fact} (any): {number}" for fact, number in self._left_out.most_common())
                yield f"{facts}, left out in the last {now - self._begun:.0f} s after {_MOST_LINES} lines"
            self._taken = 0
            self._left_out.clear()


class _Shedding:
    """The current spell of shedding: its times, and the shed requests by reason."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        """Shed requests by reason since the last call of `due`."""
        self._all: Counter[str] = Counter()
        self._begun = self._last = self._logged = 0.0

    def due(self, now: float, *, is_last: bool) -> Iterator[str]:
        """The line that shedding has begun, goes on after another minute, or has ended."""
        was_shedding = bool(self._all)
        if self.counts:
            self._all.update(self.counts)
            self.counts.clear()
            self._last = now
        if self._all and not was_shedding:
            self._begun = self._logged = now
            yield f"requests are shed with 503: {self._summed_up()}"
        if self._all and (is_last or now - self._last >= _QUIET_SECONDS):
            yield f"shedding has ended after {self._last - self._begun:.0f} s: {self._summed_up()}"
            self._all.clear()
        elif self._all and now - self._logged >= _MINUTE:
            self._logged = now
            yield f"requests have been shed with 503 for {now - self._begun:.0f} s: {self._summed_up()}"

    def _summed_up(self) -> str:
        return ", ".join(f"{number} ({reason})" for reason, number in self._all.most_common())


def _printable(key: str) -> str:
    """A client's text with its control characters escaped, which a terminal would obey."""
    return key if key.isprintable() else ascii(key)
