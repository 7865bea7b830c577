"""The rows with which a stream begins: those in the ring that match, found step by step if a text is searched."""

from collections.abc import Sequence
from typing import Final

from collector.ops.console.live.live import Live
from collector.ops.console.live.ring import RING_ROWS
from collector.ops.console.rows.filters import Filters
from collector.ops.console.rows.rows import EventRow

CATCH_UP_ROWS: Final = 2000
"""As many as the page holds."""
STEP_SECONDS: Final = 0.1
_MOST_STEPS: Final = 40
"""Of 15 ms of CPU each: enough for a full ring of lines of usual length."""


class RingSearch:
    """Searches some rows of the ring, the newest first."""

    def __init__(self, live: Live, rows: Sequence[EventRow], filters: Filters) -> None:
        """`rows` are the newest of the ring, oldest first."""
        self._live = live
        self._filters = filters
        self._rows = len(rows)
        self._last = live.ring.last
        self._left: Sequence[EventRow] = filters.select(rows)
        """The text was not searched in these yet."""
        self._found: list[EventRow] = []
        self._steps = 0
        if not filters.needles:
            self._found, self._left = list(self._left), ()

    @property
    def is_done(self) -> bool:
        """Whether all is searched, or enough is found.

        Given up while the rows that came since are still in the ring: a stream must not miss what comes for what was.
        """
        is_late = self._steps >= _MOST_STEPS or self._live.ring.last - self._last > RING_ROWS // 2
        return not self._left or len(self._found) >= CATCH_UP_ROWS or is_late

    @property
    def shown(self) -> list[EventRow]:
        """The newest rows that match, oldest first."""
        return self._found[-CATCH_UP_ROWS:]

    @property
    def left_out(self) -> int:
        """The rows that match and are not shown."""
        return max(0, len(self._found) - CATCH_UP_ROWS)

    async def step(self) -> None:
        """Search for a bit of CPU."""
        found, tested = await self._live.holding(self._left, self._filters)
        self._found = found + self._found
        self._left = self._left[: len(self._left) - tested]
        self._steps += 1

    def progress(self) -> dict[str, object]:
        """The data of the message `backlog`."""
        return {
            "rows": self._rows,
            "searched": self._rows - len(self._left),
            "matched": len(self._found),
            "shown": len(self.shown) if self.is_done else 0,
            "is_done": self.is_done,
        }
