"""Series of values in rings of fixed size. Pure: knows neither files nor clocks."""

import math
from array import array
from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple

from collector.ops.console.node.rates import Values

MOST_SERIES: Final = 64
"""Names beyond these get no ring."""
FINE_SECONDS, FINE_LENGTH = 1, 600
COARSE_SECONDS, COARSE_LENGTH = 10, 360
_LEAST_SECONDS: Final = 60
_MOST_SECONDS: Final = 10 * 365 * 86_400
"""A line that reaches the reserve later than in ten years is level."""


class SeriesRing:
    """The last values of many series, one each `step_seconds`.

    A time is a tick: Unix seconds divided by the step.
    """

    def __init__(self, step_seconds: int, length: int) -> None:
        """`length` is that of the ring, in values of each series."""
        self.step_seconds: Final = step_seconds
        self.length: Final = length
        self.last = 0
        """The tick of the newest values; 0 if there are none."""
        self._rings: dict[str, array[float]] = {}

    @property
    def names(self) -> Sequence[str]:
        """The series that have a ring, in the order in which they came."""
        return tuple(self._rings)

    def put(self, tick: int, values: Values) -> None:
        """Add the values of a tick.

        Ticks that were left out are unknown, and after a step back of the clock so are those that come now.
        """
        is_next = tick > self.last
        first, end = (self.last + 1, tick) if is_next else (tick, self.last)
        for at in range(max(first, end - self.length + 1), end + 1):
            for column in self._rings.values():
                column[at % self.length] = math.nan
        self.last = tick
        for name, value in values.items():
            if value is not None and (ring := self._ring(name)) is not None:
                ring[tick % self.length] = value

    def values(self, name: str, end: int, count: int) -> list[float | None]:
        """The `count` values up to the tick `end`, oldest first. None for each that is not known."""
        ring = self._rings.get(name)
        return [self._value(ring, tick) for tick in range(end - count + 1, end + 1)]

    def rows(self) -> Iterator[tuple[int, dict[str, float | None]]]:
        """All ticks with their values, oldest first."""
        for tick in range(max(1, self.last - self.length + 1), self.last + 1):
            yield tick, {name: self._value(ring, tick) for name, ring in self._rings.items()}

    def _ring(self, name: str) -> "array[float] | None":
        if name not in self._rings and len(self._rings) < MOST_SERIES:
            self._rings[name] = array("d", [math.nan]) * self.length
        return self._rings.get(name)

    def _value(self, ring: "array[float] | None", tick: int) -> float | None:
        if ring is None or not self.last - self.length < tick <= self.last:
            return None
        value = ring[tick % self.length]
        return None if math.isnan(value) else value


FullState = Literal["unknown", "level", "filling", "full"]


class Headroom(NamedTuple):
    """How long free space lasts. `seconds` is None where it is unknown, and while it does not shrink."""

    state: FullState
    seconds: int | None


def headroom(free: float, before: Sequence[float | None], step_seconds: int, reserve: float) -> Headroom:
    """When free bytes reach `reserve`, by the straight line through those before.

    Unknown for less than a minute of values.
    """
    if free <= reserve:
        return Headroom("full", 0)
    points = [(at * step_seconds, value) for at, value in enumerate(before) if value is not None]
    if not points or points[-1][0] - points[0][0] < _LEAST_SECONDS:
        return Headroom("unknown", None)
    middle = sum(at for at, _ in points) / len(points)
    mean = sum(value for _, value in points) / len(points)
    slope = sum((at - middle) * (value - mean) for at, value in points) / sum((at - middle) ** 2 for at, _ in points)
    seconds = (free - reserve) / -slope if slope < 0 else _MOST_SECONDS
    return Headroom("filling", int(seconds)) if seconds < _MOST_SECONDS else Headroom("level", None)
