"""Whether a sink is `up`, `retrying` after a failure, or `down` after several: then it is only probed now and then.

It is `stopped` where the log or its cursor can't be read: that needs a person. What it is, and why, stands in a file
beside the log for `collector sink ls`, and in the log of the program when it changes.
"""

import logging
import os
import re
import time
from typing import Final, Literal

import msgspec
from msgspec import Struct

from collector.errors import SinkError
from collector.ship.retry import Backoff
from wal.files import make_directories, named, opener

_FAILURES_DOWN: Final = 5
_DIGITS: Final = re.compile(r"\d+")
"""Where two errors differ in a time or a port alone, the second is no news."""

State = Literal["up", "retrying", "down", "stopped"]

logger = logging.getLogger(__name__)


class Health(Struct, frozen=True):
    """How a sink is, since when (Unix ms), and its last error."""

    state: State
    since_ms: int
    error: str = ""


class Circuit:
    """Counts the failures of a sink in a row, and says how long to leave it alone."""

    def __init__(self, name: str) -> None:
        self.health = Health("up", _now_ms())
        self._name = name
        self._backoff = Backoff()

    def failed(self, error: SinkError) -> float:
        """Count a failure; returns the seconds until the sink is tried, or probed, again."""
        pause = self._backoff.next(error.wait_seconds)
        state: State = "down" if self._backoff.failures >= _FAILURES_DOWN else "retrying"
        text = str(error)
        if state != self.health.state or _DIGITS.sub("", text) != _DIGITS.sub("", self.health.error):
            logger.warning("sink %s: %s; %s, again in %.1f s", self._name, text, state, pause)
            self._change(state, text)
        return pause

    def succeeded(self) -> None:
        """Close the circuit."""
        if self.health.state != "up":
            logger.info("sink %s: up again after %d failures", self._name, self._backoff.failures)
            self._change("up", self.health.error)
        self._backoff.reset()

    def stopped(self, error: Exception) -> None:
        """Give up, until a person has looked."""
        self._change("stopped", str(error))

    def _change(self, state: State, error: str) -> None:
        since = self.health.since_ms if state == self.health.state else _now_ms()
        self.health = Health(state, since, error)


def health_path(directory: str, name: str) -> str:
    """Where the health of a sink stands, in the directory of a log."""
    return os.path.join(directory, "sinks", f"{name}.json")


def save_health(directory: str, name: str, health: Health) -> None:
    """Replace the file; not durable, since a start begins anew. Raises OSError."""
    path = health_path(directory, name)
    make_directories(os.path.dirname(path))
    with named(path), open(f"{path}.tmp", "wb", opener=opener) as file:
        file.write(msgspec.json.encode(health))
    os.replace(f"{path}.tmp", path)


def load_health(directory: str, name: str) -> Health | None:
    """What was saved last, or None where there is nothing that can be read."""
    try:
        with open(health_path(directory, name), "rb") as file:
            return msgspec.json.decode(file.read(), type=Health)
    except (OSError, msgspec.DecodeError):
        return None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
