"""The rate limit of a property, pure: a token bucket. The caller passes the time."""

import math
from typing import Final

from collector.errors import TooFast

_DEBT_SECONDS: Final = 2.0
_ROUNDING: Final = 1e-6
"""Tolerance for sums of fractions, in events, so that a client that waits for `retry-after` is let in."""


class TokenBucket:
    """A bucket that holds the events of one second.

    A worker fills its bucket only at its share of the rate, so a batch may take more than the bucket holds. This debt
    is at most the fill of two seconds. A batch larger than a full bucket never passes.
    """

    def __init__(self, events_per_second: float, workers: int = 1) -> None:
        """`events_per_second` is the rate of all workers together."""
        self._per_second = events_per_second / workers
        self._most = max(events_per_second, 1.0)
        self._level = self._most
        self._at = -math.inf

    @property
    def largest_batch(self) -> int:
        """The most events that may pass at a time."""
        return int(self._most)

    def wait_seconds(self, now: float, events: int = 1) -> int:
        """0 if there is room for `events` at `now` (monotonic seconds), else whole seconds until a retry may pass."""
        self._level = min(self._most, self._level + (now - self._at) * self._per_second)
        self._at = now
        needed = max(1.0, events - _DEBT_SECONDS * self._per_second)
        missing = min(needed, self._most) - self._level
        return 0 if missing <= _ROUNDING else math.ceil(missing / self._per_second)

    def take(self, events: int) -> None:
        """Count events that were let in. The debt stays bounded even if they were over the rate."""
        self._level = max(self._level - events, -_DEBT_SECONDS * self._per_second)


def check_rate(rate: TokenBucket, events: int, now: float) -> None:
    """Raise TooFast if `events` are over the rate at `now`, or are too many at a time for any moment."""
    if events > rate.largest_batch:
        raise TooFast(
            f"the batch has {events} events, but this property may send at most {rate.largest_batch} at a time; "
            "send smaller batches",
            1,
        )
    if wait := rate.wait_seconds(now, events):
        raise TooFast("this property sends more events than its rate allows", wait)
