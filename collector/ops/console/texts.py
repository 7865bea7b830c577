"""The search for a text in the lines of rows. Blocks; rows do not hold their line, so it is read again.

So a text is found in all of the ring, and also after a stream has come back.
"""

import time
from collections.abc import Callable, Sequence

from collector.ops.console.filters import Filters
from collector.ops.console.log_tail import read_payload
from collector.ops.console.rows import DEAD, BlockPlace, EventRow, Hiding
from wal.errors import WalError


def holding(
    rows: Sequence[EventRow],
    filters: Filters,
    hiding: Hiding,
    budget: float,
    cpu_clock: Callable[[], float] = time.thread_time,
) -> tuple[list[EventRow], int]:
    """The rows whose line holds the text of `filters`, in order, and the number of rows that were looked at.

    The newest are looked at first, for `budget` seconds of CPU.
    """
    found: list[EventRow] = []
    deadline = cpu_clock() + budget
    block: BlockPlace | None = None
    payload = b""
    for count, row in enumerate(reversed(rows)):
        if row.block is None or row.bytes is None:
            continue
        if row.block is not block:
            if cpu_clock() >= deadline:
                return found[::-1], count
            block, payload = row.block, _payload(row.block)
        line = payload[row.start : row.start + row.bytes]
        if filters.is_in(hiding.dead_letter(line) if row.kind == DEAD else hiding.record(line)):
            found.append(row)
    return found[::-1], len(rows)


def _payload(block: BlockPlace) -> bytes:
    """Nothing if it can't be read any more: its segment was dropped, or the disk fails."""
    try:
        return read_payload(block) or b""
    except (WalError, OSError):
        return b""
