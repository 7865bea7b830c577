"""Exit codes of the collector and of its workers, and their names in the process log."""

import signal
from typing import Final

STARTUP_FAILURE: Final = 3
"""A worker can't start, and a restart would not help: a person is needed. The whole collector stops with this code."""
PASSING_FAILURE: Final = 4
"""A restart may help: the address is taken, descriptors or memory are short, or a bug ended the supervisor."""


def of_signal(number: int) -> int:
    """The exit code of a collector that a signal ended at once, by the convention of shells."""
    return 128 + number


def cause_of_death(exit_code: int) -> str:
    """The signal or exit code that ended a process. `exit_code` is multiprocessing's, negative for a signal."""
    if exit_code >= 0:
        return f"exit code {exit_code}"
    number = -exit_code
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
