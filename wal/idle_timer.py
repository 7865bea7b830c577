"""When to mark a log as idle: after a pause in the commits."""

import asyncio
import math
from collections.abc import Callable
from typing import Final

IDLE_SECONDS: Final = 0.1


class IdleTimer:
    """Calls `on_idle` in the event loop that creates it, never within IDLE_SECONDS of a commit."""

    def __init__(self, on_idle: Callable[[], None]) -> None:
        self._on_idle = on_idle
        self._loop = asyncio.get_running_loop()
        self._last_commit = self._loop.time()
        self._timer: asyncio.Handle | None = None
        self._due_at = math.inf
        """When the timer calls back. uvloop gives a handle without `when` for a time that has come already."""
        self._is_stopped = False

    def committed(self, now: float) -> None:
        """Note a commit at `now`, by the event loop's clock."""
        self._last_commit = now

    def plan(self, seconds: float = IDLE_SECONDS) -> None:
        """Call back in `seconds`, or earlier if that is planned already. Does nothing after `stop`."""
        when = self._loop.time() + seconds
        if not self._is_stopped and when < self._due_at:
            if self._timer:
                self._timer.cancel()
            self._due_at = when
            self._timer = self._loop.call_at(when, self._due)

    def stop(self) -> None:
        """Cancel the timer for good."""
        self._is_stopped = True
        if self._timer:
            self._timer.cancel()

    def _due(self) -> None:
        self._timer, self._due_at = None, math.inf
        quiet = self._loop.time() - self._last_commit
        if quiet < IDLE_SECONDS:
            self.plan(IDLE_SECONDS - quiet)
        else:
            self._on_idle()
