"""The CPU time of a call, to compare it with that of another call in the same run."""

import time
from collections.abc import Callable


def cpu_seconds(call: Callable[[], object], rounds: int = 1) -> float:
    """The least CPU time of this thread in some rounds."""
    return min(_once(call) for _ in range(rounds))


def _once(call: Callable[[], object]) -> float:
    begun = time.thread_time()
    call()
    return time.thread_time() - begun
