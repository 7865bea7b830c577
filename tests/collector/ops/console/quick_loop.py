"""An event loop whose clock jumps to the next timer instead of waiting. Not for what waits for threads or sockets."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _NoWait(selectors.DefaultSelector):
    """Never waits for a timer."""

    skipped = 0.0
    """Seconds that nobody waited."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready now; if nothing is, the timeout is over at once."""
        ready = super().select(0 if timeout is not None else None)
        if not ready and timeout:
            self.skipped += timeout
        return ready


class QuickLoop(asyncio.SelectorEventLoop):
    """A loop with a clock that jumps."""

    def __init__(self) -> None:
        self._jumps = _NoWait()
        super().__init__(self._jumps)

    def time(self) -> float:
        """The seconds that were skipped."""
        return self._jumps.skipped


def run_quickly(coroutine: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`."""
    with asyncio.Runner(loop_factory=QuickLoop) as runner:
        return runner.run(coroutine)
