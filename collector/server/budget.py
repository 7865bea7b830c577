"""The one budget of a stop, `server.grace_seconds`, and how a worker divides it.

    signal                                                        deadline: SIGKILL
      ├── requests, at most three quarters ──┬── sinks ──┬── close ──┤

The sinks also have what requests leave over. What does not get shipped stays in the log, and ships after the next
start. A request that does not get answered may be lost, so requests have most of the time.
"""

import time
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Final

_MAX_CLOSE_SECONDS: Final = 2.0


def request_seconds(grace_seconds: int) -> int:
    """The longest time that requests get. In whole seconds: uvicorn takes no others."""
    return max(1, grace_seconds * 3 // 4)


def close_seconds(grace_seconds: float) -> float:
    """The time that is kept for the close of logs and sinks after the sinks' time is over."""
    return min(_MAX_CLOSE_SECONDS, grace_seconds / 5)


class StopBudget:
    """The time that is left of a stop, in the worker. Its supervisor sends the deadline just before SIGTERM."""

    def __init__(self, supervisor: Connection, grace_seconds: float) -> None:
        self._supervisor = supervisor
        self._grace_seconds = grace_seconds

    def seconds_for_sinks(self) -> float:
        """The time that the sinks have from now on. Call it once, when requests are over."""
        return max(0.0, self._deadline() - time.monotonic() - close_seconds(self._grace_seconds))

    def _deadline(self) -> float:
        """In seconds of the monotonic clock, which processes share.

        A worker that stops by itself, or whose supervisor is gone, has the whole budget from now on.
        """
        with suppress(EOFError, OSError):
            if self._supervisor.poll():
                return float(self._supervisor.recv())
        return time.monotonic() + self._grace_seconds
