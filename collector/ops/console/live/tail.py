"""The newest rows of all logs of a node: of events and of dead letters.

Reads headers of every block, and of the payloads the newest first, as far as a budget of CPU goes. What does not fit is
counted and not read. Blocks; for one thread, of low priority.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

from collector.ops.console.live.log_tail import LogTail
from collector.ops.console.rows.decoding import row_of_damage, row_of_letter, row_of_record
from collector.ops.console.rows.redaction import Redaction
from collector.ops.console.rows.rows import DAMAGED, BlockPlace, EventRow
from wal.damage import Damage, Kind
from wal.errors import WalError
from wal.files import Files
from wal.folder import LogFolder
from wal.format import Header, payload_fault
from wal.log import now_ms
from wal.segment import Block

TICK_BUDGET: Final = 0.015
"""Seconds of CPU for payloads in one tick."""
_LINES_A_LOOK: Final = 64
"""Lines between two looks at the clock, which cost a line's time each."""

_RowOfLine = Callable[[bytes, BlockPlace, int, int], EventRow | None]


class Tick(NamedTuple):
    """The events that became durable since the last tick."""

    rows: list[EventRow]
    """Oldest first."""
    seen: int
    """Lines of all logs, exactly."""
    scanned: int
    """Lines that were read."""


class _Kind(NamedTuple):
    """The kind of the lines of a log."""

    directory: str
    row_of: _RowOfLine
    redact: Callable[[bytes], bytes]


class _Step(NamedTuple):
    log: LogTail
    kind: _Kind
    found: Header | Damage | str
    """A str is the name of an error."""
    ms: int


class Tail:
    """Follows the ends of all logs, also of those that appear later. One thread at a time."""

    def __init__(
        self,
        log_directory: str,
        letter_directory: str,
        redaction: Redaction,
        cpu_clock: Callable[[], float] = time.thread_time,
    ) -> None:
        """The folders of the shards and of the dead letters."""
        self._kinds = (
            _Kind(log_directory, row_of_record, redaction.record),
            _Kind(letter_directory, row_of_letter, redaction.dead_letter),
        )
        self._cpu_clock = cpu_clock
        self._files = Files()
        self._logs: dict[str, tuple[LogTail, _Kind]] = {}
        self._faults: dict[str, str] = {}
        """The fault of a log that can't be read, by its path."""
        self._has_looked = False

    def tick(self, budget: float = TICK_BUDGET) -> Tick:
        """Look at all logs, and read payloads for `budget` seconds of CPU. The first tick takes the end of each log."""
        self._find_logs()
        before = sum(log.seen for log, _ in self._logs.values())
        steps = [step for path, (log, kind) in self._logs.items() for step in self._advance(path, log, kind)]
        seen = sum(log.seen for log, _ in self._logs.values()) - before
        steps.sort(key=lambda step: step.ms)
        rows, scanned = self._read(steps, self._cpu_clock() + budget)
        return Tick(rows, seen, scanned)

    def close(self) -> None:
        """Close the files. The next tick opens them again."""
        for log, _ in self._logs.values():
            log.close()

    def _find_logs(self) -> None:
        for kind in self._kinds:
            with suppress(OSError):  # the logs that are known go on; `/status` tells why
                self._find_logs_of(kind)
        self._has_looked = True

    def _find_logs_of(self, kind: _Kind) -> None:
        for name in self._files.names(kind.directory):
            path = os.path.join(kind.directory, name)
            if path not in self._logs and (folder := LogFolder(self._files, path)).is_readable_log():
                self._logs[path] = LogTail(folder, is_new=self._has_looked), kind

    def _advance(self, path: str, log: LogTail, kind: _Kind) -> list[_Step]:
        """The new blocks and damages of a log.

        A log that can't be read is reported once, and tried again at the next tick.
        """
        before, fault = self._faults.get(path), ""
        try:
            log.advance()
        except (WalError, OSError) as error:
            fault, self._faults[path] = _name_of(error), str(error)
        else:
            self._faults.pop(path, None)
        ms, steps = now_ms(), []
        if fault and self._faults[path] != before:
            steps.append(_Step(log, kind, fault, ms))
        for found in reversed(log.take()):  # damage has the time of the block after it
            ms = found.timestamp_ms if isinstance(found, Header) else ms
            steps.append(_Step(log, kind, found, ms))
        return steps[::-1]

    def _read(self, steps: list[_Step], deadline: float) -> tuple[list[EventRow], int]:
        """The rows of these steps, and the lines read for them: the newest, until the deadline of CPU seconds."""
        newest_first: list[EventRow] = []
        scanned = 0
        for step in reversed(steps):
            if not isinstance(step.found, Header):
                newest_first.append(_row_of_fault(step))
            elif self._cpu_clock() < deadline:
                rows, lines = self._read_block(step, step.found, deadline)
                newest_first += rows
                scanned += lines
        newest_first.reverse()
        return newest_first, scanned

    def _read_block(self, step: _Step, header: Header, deadline: float) -> tuple[list[EventRow], int]:
        """The rows of a block, newest first, and the number of lines read."""
        try:
            found = step.log.payload(header)
        except (WalError, OSError) as error:
            return [_row_of_fault(step._replace(found=_name_of(error)))], 0
        if found is None:  # dropped meanwhile
            return [], 0
        path, payload = found
        if cause := payload_fault(header, payload):
            lost = Block(header, payload)
            return [_row_of_fault(step._replace(found=Damage(Kind.CORRUPT, lost.start, lost.end, cause)))], 0
        place = BlockPlace(path, header.log_id.decode(), header.timestamp_ms)
        return self._rows_of(step.kind, place, Block(header, payload), deadline)

    def _rows_of(self, kind: _Kind, place: BlockPlace, block: Block, deadline: float) -> tuple[list[EventRow], int]:
        rows: list[EventRow] = []
        row_of, redact = kind.row_of, kind.redact
        sequence, start = block.end.sequence, block.end.offset
        lines = block.payload.split(b"\n")[:-1]
        for count, line in enumerate(reversed(lines)):
            if count % _LINES_A_LOOK == 0 and self._cpu_clock() >= deadline:
                return rows, count
            sequence -= 1
            start -= len(line) + 1
            row = row_of(redact(line), place, sequence, start)
            if row is not None:
                row.bytes = len(line)
                rows.append(row)
        return rows, len(lines)


def _row_of_fault(step: _Step) -> EventRow:
    """The row of damage, or of an error that keeps a log from being read."""
    found = step.found
    if isinstance(found, Damage):
        return row_of_damage(found, step.log.folder.log_id, step.ms)
    return EventRow(received_ms=step.ms, kind=DAMAGED, code=str(found))


def _name_of(error: Exception) -> str:
    """The code of an error: `unreadable`, `broken`, `permissionerror`, …"""
    return type(error).__name__.lower()
