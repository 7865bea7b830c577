"""Facts that clients repeat, told in the process log in few lines: what a client sends can't fill a disk.

Wiring takes three lines. One `Notices` a worker; a call where the fact is known; a periodic task that logs what is due:

    notices = Notices()
    notices.count(UNKNOWN_PROPERTY, f"{portal_id}/{prop_id}")    # where it is refused
    for line in notices.due(loop.time()):                        # about once a second
        logger.warning("%s", line)

`shed(reason)` is called for each request that is shed. At a stop, `due(now, is_last=True)` gives what is counted yet.
Times are seconds of a monotonic clock. Neither `count` nor `shed` asks a clock, writes or allocates more than a key:
0.2 us a call.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Final

UNKNOWN_PROPERTY: Final = "events refused with 404, unknown property"
TOO_FAST: Final = "events refused with 429, over the rate of property"
FORBIDDEN: Final = "events refused with 403, origin or write key is not one of property"
LOST_CLICK: Final = "clicks redirected although their events were not stored, of property"
LOST_LETTER: Final = "refused events left no dead letter:"

OTHERS: Final = "(others)"
_MOST_KEYS: Final = 1000
_LONGEST_KEY: Final = 64
_MOST_LINES: Final = 20
"""A minute, of counted facts. One more line sums up those left out, and shedding has at most 12."""
_MINUTE: Final = 60.0
_QUIET_SECONDS: Final = 10.0
"""Shedding has ended when no request was shed for so long: else a node at its limit would tell of it every second."""

Key = tuple[str, str]


class Notices:
    """Counts of facts and of shed requests, and when each was last told."""

    def __init__(self) -> None:
        self._counts: dict[Key, int] = {}
        self._told: dict[Key, float] = {}
        self._lines = _Budget()
        self._shedding = _Shedding()

    def count(self, fact: str, key: str, number: int = 1) -> None:
        """Count a fact of `key`, for example a property as the client names it; beyond 1,000 keys, of all others."""
        counts, pair = self._counts, (fact, key[:_LONGEST_KEY])
        if pair not in counts and len(counts) >= _MOST_KEYS:
            pair = (fact, OTHERS)
        counts[pair] = counts.get(pair, 0) + number

    def shed(self, reason: str) -> None:
        """Count a request that is shed; there are few reasons, and all are texts of ours."""
        counts = self._shedding.counts
        counts[reason] = counts.get(reason, 0) + 1

    def due(self, now: float, *, is_last: bool = False) -> list[str]:
        """The lines to log now: first occurrences, what went on for a minute, shedding that begins, goes on or ends."""
        lines = [*self._shedding.due(now, is_last=is_last), *self._lines.left_out(now, is_last=is_last)]
        for pair, number in list(self._counts.items()):
            told = self._told.get(pair)
            if told is None or now - told >= _MINUTE or (is_last and number):
                lines += self._tell(pair, number, told, now)
        return lines

    def _tell(self, pair: Key, number: int, told: float | None, now: float) -> Iterator[str]:
        """A line for a count; a key that had none for a minute is forgotten, so that its next one is a first again."""
        if number == 0:
            del self._counts[pair], self._told[pair]
            return
        self._counts[pair] = 0
        self._told[pair] = now
        if self._lines.take(now, pair[0], number):
            fact, key = pair[0], _on_a_line(pair[1])
            yield f"{fact} {key}: {number}" if told is None else f"{fact} {key}: {number} more in {now - told:.0f} s"


class _Budget:
    """So many lines a minute; what is beyond is counted by fact."""

    def __init__(self) -> None:
        self._begun = 0.0
        self._taken = 0
        self._beyond: Counter[str] = Counter()

    def take(self, now: float, fact: str, number: int) -> bool:
        """Take a line, or count what it would have told."""
        if self._taken == 0:
            self._begun = now
        if self._taken < _MOST_LINES:
            self._taken += 1
            return True
        self._beyond[fact] += number
        return False

    def left_out(self, now: float, *, is_last: bool) -> Iterator[str]:
        """Once the minute is over, the line about what was left out, if anything was. The next minute can begin."""
        if self._taken and (is_last or now - self._begun >= _MINUTE):
            if self._beyond:
                facts = "; ".join(f"{fact} (any): {number}" for fact, number in self._beyond.most_common())
                yield f"{facts}, left out in the last {now - self._begun:.0f} s, with {_MOST_LINES} lines told"
            self._taken = 0
            self._beyond.clear()


class _Shedding:
    """Whether requests are shed, since when, and how many were, by reason."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        """Since the last call of `due`."""
        self._all: Counter[str] = Counter()
        self._begun = self._last = self._told = 0.0

    def due(self, now: float, *, is_last: bool) -> Iterator[str]:
        """The line that shedding begins, goes on for a minute more, or has ended."""
        was_shedding = bool(self._all)
        if self.counts:
            self._all.update(self.counts)
            self.counts.clear()
            self._last = now
        if self._all and not was_shedding:
            self._begun = self._told = now
            yield f"requests are shed with 503: {self._summed_up()}"
        if self._all and (is_last or now - self._last >= _QUIET_SECONDS):
            yield f"no request is shed any more, after {self._last - self._begun:.0f} s: {self._summed_up()}"
            self._all.clear()
        elif self._all and now - self._told >= _MINUTE:
            self._told = now
            yield f"requests are shed with 503 for {now - self._begun:.0f} s: {self._summed_up()}"

    def _summed_up(self) -> str:
        return ", ".join(f"{number} ({reason})" for reason, number in self._all.most_common())


def _on_a_line(key: str) -> str:
    """A client's text without what a terminal would obey."""
    return key if key.isprintable() else ascii(key)
