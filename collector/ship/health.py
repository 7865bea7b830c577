"""The health of a sink: `up`, `retrying` after a failure, or `down` after several, when it is only probed rarely.

It is `waiting` while an attempt takes long, and `stopped` if only a person or a restart helps. The state and its cause
are in a file beside the log, for `collector sink ls`, and in the process log when they change.
"""

import os
import re
import time
from typing import Final, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from collector.errors import SinkError
from collector.process_log.of_sinks import SinkDown, SinkRetrying, SinkUp, SinkWaiting
from collector.ship.retry import Backoff
from wal.files import FILE_MODE

_FAILURES_DOWN: Final = 5
_PATIENCE_MS: Final = 30_000
"""A sink that has not been up for this long when an attempt fails is given up: after two time-outs, not after one."""
_HEALTH_BYTES: Final = 4000
"""The length of a health file: within one page, and always the same, so that one write replaces all of it."""
_READS: Final = 3
_DIGITS: Final = re.compile(r"\d+")
"""Two errors that differ only in a time or a port count as the same."""

_WAITS: Final = "no answer yet to "
_BEFORE: Final = "; before: "

State = Literal["up", "waiting", "retrying", "down", "stopped"]


class Health(Struct, frozen=True):
    """The state of a sink, since when (Unix ms), its last error, and its failed attempts since the process started."""

    state: State
    since_ms: int
    error: str = ""
    failures: int = 0


def is_given_up(health: Health, now_ms: int) -> bool:
    """Whether to stop waiting for this sink: it is stopped or down, or has not been up for 30 s."""
    return health.state in ("stopped", "down") or (health.state != "up" and now_ms - health.since_ms >= _PATIENCE_MS)


class SinkHealth:
    """Counts the failures of a sink in a row, and says how long to pause."""

    def __init__(self, name: str) -> None:
        self.health = Health("up", _now_ms())
        self._name = name
        self._backoff = Backoff()
        self._logged: State | None = None
        """The state that was logged last, since the sink was up."""

    def failed(self, error: SinkError) -> float:
        """Count a failure; returns the seconds until the sink is tried, or probed, again."""
        pause = self._backoff.next(error.wait_seconds)
        state: State = "down" if self._backoff.failures >= _FAILURES_DOWN else "retrying"
        text = str(error)
        if state != self._logged:
            self._logged = state
            (SinkDown if state == "down" else SinkRetrying)(self._name, text, pause).write()
        if _identity(state, text) != _identity(self.health.state, self.health.error):
            self._change(state, text)
        self.health = replace(self.health, failures=self.health.failures + 1)
        return pause

    def succeeded(self) -> None:
        """The sink is up again."""
        if self.health.state != "up":
            SinkUp(self._name, self._backoff.failures).write()
            error = self.health.error
            self._change("up", error.partition(_BEFORE)[2] if error.startswith(_WAITS) else error)  # it came
        self._backoff.reset()
        self._logged = None

    def waits(self, purpose: str, seconds: float) -> None:
        """Show that an attempt has had no response for this long. `purpose` names the attempt."""
        text = f"{_WAITS}{purpose}"
        if self.health.state == "up":
            SinkWaiting(self._name, purpose, seconds).write()
            since_ms = _now_ms() - round(seconds * 1000)
            self.health = replace(self.health, state="waiting", since_ms=since_ms, error=text)
        elif not self.health.error.startswith(text):
            self._change(self.health.state, f"{text}{_BEFORE}{self.health.error}")

    def stopped(self, error: Exception) -> None:
        """Give up, until a person has looked, or the shipper is started again."""
        self._change("stopped", str(error) or repr(error))

    def restarted(self) -> None:
        """Try again after a stop."""
        self._change("retrying", self.health.error)

    def _change(self, state: State, error: str) -> None:
        since = self.health.since_ms if state == self.health.state else _now_ms()
        self.health = replace(self.health, state=state, since_ms=since, error=error)


def health_path(directory: str, name: str) -> str:
    """The health file of a sink, in the directory of a log."""
    return os.path.join(directory, "sinks", f"{name}.json")


def lock_path(directory: str, name: str) -> str:
    """The file that a process holds a lock on while it ships a log to a sink."""
    return os.path.join(directory, "sinks", f"{name}.lock")


def open_health(directory: str, name: str) -> int:
    """A descriptor for `save_health`, kept so that a process without descriptors can still write it. Raises OSError."""
    return os.open(health_path(directory, name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)


def save_health(descriptor: int, health: Health) -> None:
    """Overwrite the file with one write; not durable, since a start begins anew. Raises OSError."""
    os.pwrite(descriptor, _content_of(health).ljust(_HEALTH_BYTES), 0)


def load_health(directory: str, name: str) -> Health | None:
    """The health that was saved last, or None if it cannot be read.

    A read during a write may find half of each, and is repeated.
    """
    for _ in range(_READS):
        try:
            with open(health_path(directory, name), "rb") as file:
                return msgspec.json.decode(file.read(), type=Health)
        except OSError:
            return None
        except msgspec.DecodeError:
            continue
    return None


def _content_of(health: Health) -> bytes:
    content = msgspec.json.encode(health)
    if len(content) <= _HEALTH_BYTES:
        return content
    return msgspec.json.encode(replace(health, error=health.error[: _HEALTH_BYTES // 8]))  # at most 6 bytes a character


def _identity(state: State, text: str) -> tuple[State, str]:
    """The part of a failure that distinguishes it from the previous one."""
    return state, _DIGITS.sub("", text)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
