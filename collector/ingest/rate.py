"""How many events a property may send, pure: a bucket that fills by the second. Time is given, never asked for."""

import math
from typing import Final

_BURST_SECONDS: Final = 1.0


class Rate:
    """A bucket of one second's events. It may go into debt once, so that a batch larger than itself passes."""

    def __init__(self, events_per_second: float) -> None:
        self._per_second = events_per_second
        self._most = max(events_per_second * _BURST_SECONDS, 1.0)
        self._level = self._most
        self._at = -math.inf

    def wait_seconds(self, now: float) -> int:
        """0 if there is room for a request at `now` (monotonic seconds), else when to come again: whole seconds."""
        self._level = min(self._most, self._level + (now - self._at) * self._per_second)
        self._at = now
        return 0 if self._level > 0 else math.floor(-self._level / self._per_second) + 1

    def take(self, events: int) -> None:
        """Count the events of a request that was let in."""
        self._level -= events
