"""How many events a property may send, pure: a bucket that fills by the second. Time is given, never asked for."""

import math
from typing import Final

from collector.errors import TooFast

_DEBT_SECONDS: Final = 2.0
_ROUNDING: Final = 1e-6
"""What sums of fractions may lack of an event, so that a client that waits as told is let in."""


class TokenBucket:
    """A bucket that holds the events of one second.

    A worker fills its bucket at its share of the rate, so that a batch may take more than is in it: a debt, which is at
    most what two seconds bring. A batch that is larger than the bucket never passes.
    """

    def __init__(self, events_per_second: float, workers: int = 1) -> None:
        """`events_per_second` are those of all workers together."""
        self._per_second = events_per_second / workers
        self._most = max(events_per_second, 1.0)
        self._level = self._most
        self._at = -math.inf

    @property
    def largest_batch(self) -> int:
        """How many events at a time may pass at all."""
        return int(self._most)

    def wait_seconds(self, now: float, events: int = 1) -> int:
        """0 if there is room for so many events at `now` (monotonic seconds), else when to retry: whole seconds."""
        self._level = min(self._most, self._level + (now - self._at) * self._per_second)
        self._at = now
        needed = max(1.0, events - _DEBT_SECONDS * self._per_second)
        missing = min(needed, self._most) - self._level
        return 0 if missing <= _ROUNDING else math.ceil(missing / self._per_second)

    def take(self, events: int) -> None:
        """Count events that were let in. The debt stays bounded, also where they could not be held back."""
        self._level = max(self._level - events, -_DEBT_SECONDS * self._per_second)


def check_rate(rate: TokenBucket, events: int, now: float) -> None:
    """Raise TooFast where so many events are over the rate at `now`, or can never be within it together."""
    if events > rate.largest_batch:
        raise TooFast(
            f"the batch has {events} events, and this property may send {rate.largest_batch} at a time; "
            "send smaller batches",
            1,
        )
    if wait := rate.wait_seconds(now, events):
        raise TooFast("this property sends more events than its rate allows", wait)
