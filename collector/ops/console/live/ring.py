"""The newest rows, numbered, for all streams: each stream is but a place in it."""

from collections.abc import Sequence
from typing import Final

from collector.ops.console.rows.rows import EventRow

RING_ROWS: Final = 20_000
"""7 MiB of rows of usual length."""


class Ring:
    """Keeps the last `capacity` rows. Rows are numbered from 1; numbers are never used twice."""

    def __init__(self, capacity: int = RING_ROWS) -> None:
        self._capacity = capacity
        self._rows: list[EventRow] = []
        self.last = 0
        """The number of the newest row; 0 if there was none yet."""

    @property
    def first(self) -> int:
        """The number of the oldest row that is kept; `last` + 1 if there is none."""
        return self.last + 1 - min(len(self._rows), self._capacity)

    def extend(self, rows: Sequence[EventRow]) -> None:
        """Add rows, oldest first, and number them."""
        for row in rows:
            self.last += 1
            row.number = self.last
        self._rows += rows
        if len(self._rows) >= self._capacity + self._capacity // 4:  # not each time: that moves all others
            del self._rows[: -self._capacity]

    def after(self, number: int) -> list[EventRow]:
        """The rows after `number` that are kept, oldest first."""
        count = self.last - max(number, self.first - 1)
        return self._rows[-count:] if count > 0 else []
