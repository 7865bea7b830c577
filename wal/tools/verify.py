"""`wal verify`: reads a whole log and reports its faults. Changes nothing, and may run while the log is written."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Final, NamedTuple

from wal.damage import FILE_NAME, Damage, Ledger, read_ledger
from wal.errors import Broken, Corrupt, ForeignLog, MissingSegment, WalError
from wal.folder import LogFolder
from wal.format import Position, SegmentName
from wal.identity import id_in_segments
from wal.reader import Reader, read_all
from wal.segment import Block

_KINDS: Final = {MissingSegment: "missing", ForeignLog: "foreign"}


class Finding(NamedTuple):
    """One fault. `lost` counts events. `is_recorded` means that damage.ndjson has all of it already.

    A torn tail is left by a crash, and events are dropped by retention: neither is damage.
    """

    kind: str
    path: str
    message: str
    lost: int = 0
    damage: Damage | None = None
    is_recorded: bool = False

    @property
    def is_new_damage(self) -> bool:
        """Whether an operator must act on it."""
        return self.is_damage and not self.is_recorded

    @property
    def is_damage(self) -> bool:
        """Whether bytes or events are or may be lost."""
        return self.kind not in ("torn", "dropped")

    def __str__(self) -> str:
        recorded = " (recorded)" if self.is_recorded else ""
        return f"{self.kind}{recorded}: {self.path}: {self.message}"


class Summary(NamedTuple):
    """Totals: segments, blocks, events and bytes of payload that were read."""

    segments: int
    blocks: int
    events: int
    bytes: int


def verify(folder: LogFolder, on_block: Callable[[Block], None] = lambda _: None) -> Iterator[Finding | Summary]:
    """Yield every finding, and a summary at the end. `on_block` is called for progress. Raises Unreadable, OSError."""
    held = folder.is_locked()
    try:
        log_id: bytes | None = folder.log_id
    except (Corrupt, FileNotFoundError) as fault:
        yield Finding("identity", folder.path, f"log.json: {fault}")
        log_id = id_in_segments(folder)
    if log_id is None:
        return
    folder = LogFolder(folder.files, folder.path, log_id)
    names = folder.segments()
    total = Summary(len(names), 0, 0, 0)
    if names:
        with closing(Reader(folder, names[0].start)) as reader:
            for step in read_on(reader):
                if isinstance(step, Finding):
                    yield step
                else:
                    total = _added(total, step)
                    on_block(step)
        if not held:
            yield from _torn(folder, reader.position, names[-1])
    yield from _ledger_fault(folder)
    yield from _cursors(folder, names)
    yield total


def read_on(reader: Reader) -> Iterator[Finding | Block]:
    """Yield blocks, and a finding for every place without one. A broken chain ends the segment, not the reading.

    Where retention deletes segments that were not read yet, reading goes on at the oldest.
    """
    while True:
        try:
            for step in read_all(reader):
                yield _finding(reader.folder, step) if isinstance(step, Damage) else step
        except (Broken, FileNotFoundError) as fault:
            if oldest := _overtaken(reader):
                reader.go_to(oldest)
                message = f"retention has deleted events before sequence {oldest.sequence} meanwhile"
                yield Finding("dropped", reader.folder.path, message)
                continue
            if not isinstance(fault, Broken):
                raise
            yield Finding(_KINDS.get(type(fault), "broken"), fault.path, str(fault))
            later = [name for name in reader.folder.segments() if name.number > reader.position.segment]
            if later:
                reader.go_to(later[0].start)
                continue
        return


def _overtaken(reader: Reader) -> Position | None:
    """The start of the oldest segment, if the reader is in an earlier one."""
    oldest = reader.folder.oldest()
    return oldest if oldest and oldest.segment > reader.position.segment else None


def _finding(folder: LogFolder, damage: Damage) -> Finding:
    is_recorded = not _ledger(folder).unrecorded(damage)
    return Finding(str(damage.kind), folder.path, str(damage), damage.lost, damage, is_recorded)


def _ledger(folder: LogFolder) -> Ledger:
    """The ledger, or an empty one if it is broken: that is a finding of its own, and must not hide others."""
    try:
        return read_ledger(folder)
    except Broken:
        return Ledger()


def _added(total: Summary, block: Block) -> Summary:
    header = block.header
    return total._replace(
        blocks=total.blocks + 1, events=total.events + header.records, bytes=total.bytes + header.length
    )


def _torn(folder: LogFolder, end: Position, last: SegmentName) -> Iterator[Finding]:
    """Bytes after the last whole block of a log without a writer."""
    path = folder.segment_file(last)
    left = os.path.getsize(path) - end.offset
    if end.segment == last.number and left > 0:
        yield Finding("torn", path, f"{left} bytes after byte {end.offset}; the next start cuts them off")


def _ledger_fault(folder: LogFolder) -> Iterator[Finding]:
    try:
        read_ledger(folder)
    except Broken as fault:
        yield Finding("ledger", folder.file(FILE_NAME), str(fault))


def _cursors(folder: LogFolder, names: list[SegmentName]) -> Iterator[Finding]:
    missing = _ledger(folder).missing_segments
    for consumer in folder.consumers():
        path = folder.cursor_file(consumer)
        try:
            cursor = folder.cursor(consumer)
        except WalError as fault:
            yield Finding("cursor", path, str(fault))
            continue
        there = {name.number for name in (*names, *folder.segments())}  # a writer may have begun a segment meanwhile
        if cursor and (segment := cursor.acked.segment) not in there:
            message = f"it is in segment {segment}, which is missing"
            yield Finding("cursor", path, message, is_recorded=segment in missing)
