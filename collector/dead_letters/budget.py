"""The bytes of dead letters that a worker writes an hour, shared by its properties."""

from collections.abc import Callable
from typing import Final

from collector.process_log.of_shards import DeadLettersOverShare

_HOUR_MS: Final = 3_600_000


class HourlyBudget:
    """Bytes an hour. A property may fill half of what the others leave, so that there is always some left for them."""

    def __init__(self, bytes_per_hour: int, properties: int, clock: Callable[[], int]) -> None:
        """A single property may fill all of it. `clock` gives Unix milliseconds."""
        self._bytes_per_hour = bytes_per_hour
        self.properties = properties
        self._clock = clock
        self._hour = 0
        self._left = 0
        self._used: dict[tuple[int, int], int] = {}
        self._over: set[tuple[int, int]] = set()

    def take(self, place: tuple[int, int], length: int) -> bool:
        """Whether so many bytes of a property, given by portal and property id, may be kept; they count then."""
        hour = self._clock() // _HOUR_MS
        if hour != self._hour:
            self._hour, self._left = hour, self._bytes_per_hour
            self._used.clear()
            self._over.clear()
        used = self._used.get(place, 0)
        if place in self._over or length > self._left - (used if self.properties > 1 else 0):
            self._warn_once(place)
            return False
        self._used[place] = used + length
        self._left -= length
        return True

    def _warn_once(self, place: tuple[int, int]) -> None:
        if place not in self._over:
            self._over.add(place)
            DeadLettersOverShare(*place, self._bytes_per_hour).write()
