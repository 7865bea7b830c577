"""Messages of the supervisor to a worker over its control pipe: settings to swap, and at a stop the deadline.

Messages are short, so that the supervisor never waits for a worker that hangs; settings, which may be long, stand on a
board in shared memory.
"""

import os
import pickle
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.reduction import DupFd
from typing import Any, Final, NamedTuple, cast

from collector.settings import Settings

_HALF: Final = 1 << 32
"""Where every other reload begins on the board. Pages that are never touched take no memory."""


class StopDeadline(NamedTuple):
    """A stop has begun. The worker is to end by `at`, in seconds of the monotonic clock, which processes share."""

    at: float


class Swap(NamedTuple):
    """Serve with other properties and limits. `number` counts the reloads of the node."""

    number: int
    offset: int
    length: int
    """The place of the settings on the board."""


class SettingsBoard:
    """Settings in memory that the supervisor shares with all workers, those of the last two reloads.

    Only the supervisor writes. Pickle it only for a process that is being spawned.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        """`descriptor` is that of the shared memory, if it exists. Raises OSError."""
        self._descriptor = os.memfd_create("tracklog-settings") if descriptor is None else descriptor

    def __reduce__(self) -> tuple[Any, ...]:
        return _attached, (DupFd(self._descriptor),)

    def add(self, number: int, settings: Settings) -> Swap:
        """Overwrite the settings of the reload before the last one, which no worker reads any more."""
        text = pickle.dumps(settings)
        offset = number % 2 * _HALF
        os.pwrite(self._descriptor, text, offset)
        return Swap(number, offset, len(text))

    def read(self, swap: Swap) -> Settings:
        """The settings of a swap."""
        return cast(Settings, pickle.loads(os.pread(self._descriptor, swap.length, swap.offset)))  # noqa: S301  our own


class Control:
    """The worker's end of the control pipe."""

    def __init__(self, supervisor: Connection) -> None:
        self._supervisor = supervisor
        self._deadline: float | None = None
        self._swap: Swap | None = None

    @property
    def deadline(self) -> float | None:
        """The end of the stop, in seconds of the monotonic clock; None before a stop begins."""
        self._receive()
        return self._deadline

    def take_swap(self) -> Swap | None:
        """The newest swap that has not been taken."""
        self._receive()
        swap, self._swap = self._swap, None
        return swap

    def send(self, report: bytes) -> None:
        """Send a report, encoded. A supervisor that has died gets none; this worker stops too."""
        with suppress(OSError):
            self._supervisor.send_bytes(report)

    def _receive(self) -> None:
        with suppress(EOFError, OSError):
            while self._supervisor.poll():
                message = self._supervisor.recv()
                if isinstance(message, Swap):
                    self._swap = message
                else:
                    self._deadline = message.at


def _attached(duplicate: Any) -> SettingsBoard:
    """The board of the supervisor, in the process that is being spawned."""
    return SettingsBoard(duplicate.detach())
