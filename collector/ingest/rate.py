"""How many events a property may send, pure: a bucket that fills by the second. Time is given, never asked for."""

import math
from typing import Final

_BURST_SECONDS: Final = 1.0
_ROUNDING: Final = 1e-6
"""What sums of fractions may lack of an event, so that who waits as told is let in."""


class Rate:
    """A bucket of one second's events. A batch larger than what is in it passes once, and is paid for by waiting."""

    def __init__(self, events_per_second: float) -> None:
        self._per_second = events_per_second
        self._most = max(events_per_second * _BURST_SECONDS, 1.0)
        self._level = self._most
        self._at = -math.inf

    def wait_seconds(self, now: float) -> int:
        """0 if there is room for a request at `now` (monotonic seconds), else when to come again: whole seconds."""
        self._level = min(self._most, self._level + (now - self._at) * self._per_second)
        self._at = now
        missing = 1 - self._level
        return 0 if missing <= _ROUNDING else math.ceil(missing / self._per_second)

    def take(self, events: int) -> None:
        """Count the events of a request that was let in."""
        self._level -= events
