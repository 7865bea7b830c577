"""The time budget of a stop, `server.grace_seconds`, and its division in a worker.

    signal                                                        deadline: SIGKILL
      ├── requests, at most three quarters ──┬── sinks ──┬── close ──┤

The sinks also get the time that requests leave over. Events that are not shipped stay in the log, and ship after the
next start. A request without a response may be lost, so requests get most of the time.
"""

import time
from typing import Final

from collector.server.control import Control

_MAX_CLOSE_SECONDS: Final = 2.0


def request_seconds(grace_seconds: int) -> int:
    """The most seconds that requests get. Whole, because uvicorn takes no others."""
    return max(1, grace_seconds * 3 // 4)


def close_seconds(grace_seconds: float) -> float:
    """The seconds reserved for closing logs and sinks after the sinks' time."""
    return min(_MAX_CLOSE_SECONDS, grace_seconds / 5)


class StopBudget:
    """The remaining time of a stop, in the worker.

    The supervisor sends the deadline when the stop begins, `server.shutdown_delay` before SIGTERM.
    """

    def __init__(self, control: Control, grace_seconds: float) -> None:
        self._control = control
        self._grace_seconds = grace_seconds

    def seconds_for_sinks(self) -> float:
        """The seconds that the sinks get from now on. Call it once, after the last request.

        A worker that stops by itself, or whose supervisor has died, gets the whole budget from now on.
        """
        deadline = self._control.deadline
        left = self._grace_seconds if deadline is None else deadline - time.monotonic()
        return max(0.0, left - close_seconds(self._grace_seconds))
