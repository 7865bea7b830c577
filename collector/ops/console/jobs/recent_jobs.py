"""The jobs that streams tell of. Reads them in a thread of its own, so that a disk that hangs stops no stream."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

_Jobs = Sequence[dict[str, object]]


class RecentJobs:
    """For one event loop."""

    def __init__(self, read: Callable[[], _Jobs]) -> None:
        """`read` returns the jobs; an OSError means that there are none."""
        self._read = read
        self._last: _Jobs = ()
        self._thread = ThreadPoolExecutor(1, "console-jobs")
        self._reading: Future[_Jobs] | None = None

    def get(self) -> _Jobs:
        """The jobs of the last reading that has ended; begins the next one. Never blocks."""
        if self._reading is None or self._reading.done():
            if self._reading:
                self._last = self._reading.result()
            self._reading = self._thread.submit(self._jobs)
        return self._last

    def _jobs(self) -> _Jobs:
        try:
            return self._read()
        except OSError:
            return ()
