"""The search for a text in the lines of rows. Blocks; rows do not hold their line, so it is read again.

So a text is found in all of the ring, and also after a stream has come back.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Final

from collector.ops.console.rows.filters import Filters
from collector.ops.console.rows.redaction import Redaction
from collector.ops.console.rows.rows import DEAD, EventRow
from wal.files import Files, opened

_READ_BYTES: Final = 256 << 10
_ROWS_A_LOOK: Final = 64
"""Rows between two looks at the clock."""


def holding(
    rows: Sequence[EventRow],
    filters: Filters,
    redaction: Redaction,
    budget: float,
    cpu_clock: Callable[[], float] = time.thread_time,
) -> tuple[list[EventRow], int]:
    """The rows whose line holds the text of `filters`, in order, and the number of rows that were looked at.

    The newest are looked at first, for `budget` seconds of CPU. A line that is gone holds nothing.
    """
    found: list[EventRow] = []
    deadline = cpu_clock() + budget
    lines = _Lines()
    for count, row in enumerate(reversed(rows)):
        if count % _ROWS_A_LOOK == 0 and cpu_clock() >= deadline:
            return found[::-1], count
        line = lines.of(row)
        if line and filters.is_in(redaction.dead_letter(line) if row.kind == DEAD else redaction.record(line)):
            found.append(row)
    return found[::-1], len(rows)


class _Lines:
    """Reads lines backwards, many at a time."""

    def __init__(self) -> None:
        self._files = Files()
        self._path: str | None = None
        self._start = 0
        self._content = b""

    def of(self, row: EventRow) -> bytes:
        """The line of a row; nothing if it can't be read."""
        if row.path is None or row.bytes is None:
            return b""
        end = row.start + row.bytes
        if row.path != self._path or not self._start <= row.start <= end <= self._start + len(self._content):
            self._path, self._start = row.path, min(row.start, max(0, end - _READ_BYTES))
            self._content = self._read(row.path, self._start, end - self._start)
        return self._content[row.start - self._start : end - self._start]

    def _read(self, path: str, start: int, length: int) -> bytes:
        """Nothing if the segment was dropped, or if the disk fails: the tail tells that."""
        with contextlib.suppress(OSError), opened(self._files, self._files.open(path)) as descriptor:
            return self._files.read(descriptor, length, start)
        return b""
