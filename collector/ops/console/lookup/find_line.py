"""Finds a line of a log by its id: the log id leads to the shard, file names to the segment, headers to the block."""

from contextlib import closing, suppress
from typing import NamedTuple

from collector.errors import Rejected
from collector.ops.console.api.refusals import refused
from wal.errors import WalError
from wal.files import Files
from wal.folder import LogFolder, logs_at
from wal.format import HEADER_BYTES, Position
from wal.reader import Reader
from wal.seek import place_before
from wal.segment import Block
from wal.tools.listing import opened_ms, utc
from wal.tools.select import EventId, Selection
from wal.tools.verify import Finding, read_on


class FoundLine(NamedTuple):
    """A line, without its LF, and its block. `start` is its first byte in the payload of the block."""

    folder: LogFolder
    block: Block
    sequence: int
    start: int
    line: bytes

    @property
    def offset(self) -> int:
        """The first byte of the line in its segment."""
        return self.block.header.offset + HEADER_BYTES + self.start


class LostLine(NamedTuple):
    """A line that damage of the log has taken, and where the damage begins."""

    folder: LogFolder
    sequence: int
    place: Position
    message: str


class Kept(NamedTuple):
    """The content of a folder of logs, in words, and for how many hours."""

    noun: str
    hours: float


def parse_id(text: str) -> EventId:
    """The id in a path. Raises Rejected."""
    if found := Selection(where=(("id", text),)).event_id:
        return found
    raise refused("bad_id", "expected an id: 16 hexadecimal digits, a dash and a number, such as 3f9c2a7100112233-8813")


def find_line(directory: str, event_id: EventId, kept: Kept) -> FoundLine | LostLine:
    """The line of an id in the logs of a directory. Raises Rejected (not_found, gone), WalError, OSError."""
    folder = next((folder for folder in logs_at(Files(), directory) if _log_id(folder) == event_id.log_id), None)
    if folder is None:
        raise refused(
            "not_found",
            f"no log here has the id {event_id.log_id.decode()}; one that is relayed keeps its id: search for it",
        )
    found = None
    with suppress(FileNotFoundError):  # retention has deleted its segment meanwhile
        found = find_sequence(folder, event_id.sequence)
    if found is None:
        raise _absent(folder, event_id, kept)
    return found


def find_sequence(folder: LogFolder, sequence: int) -> FoundLine | LostLine | None:
    """The line of a sequence in a log; None if the log does not have it, or not any more. Raises WalError, OSError."""
    place = place_before(folder, sequence)
    if place is None:
        return None
    fault = ""
    with closing(Reader(folder, place)) as reader:
        for step in read_on(reader):
            if isinstance(step, Finding):
                damage, fault = step.damage, step.message
                if damage and damage.start.sequence <= sequence < damage.end.sequence:
                    return LostLine(folder, sequence, damage.start, fault)
            elif step.start.sequence <= sequence < step.end.sequence:
                return _line_in(folder, step, sequence)
            elif step.start.sequence > sequence:
                return LostLine(folder, sequence, step.start, fault) if sequence >= _oldest(folder) else None
    return None


def _line_in(folder: LogFolder, block: Block, sequence: int) -> FoundLine:
    lines = block.payload.split(b"\n")
    at = sequence - block.header.sequence
    return FoundLine(folder, block, sequence, sum(len(line) + 1 for line in lines[:at]), lines[at])


def _absent(folder: LogFolder, event_id: EventId, kept: Kept) -> Rejected:
    names = folder.segments()
    if not names or not 0 < event_id.sequence < names[0].sequence:
        return refused("not_found", f"no {kept.noun} ever had the id {event_id}")
    before = utc(opened_ms(folder, names[0]))
    return refused(
        "gone", f"not in the log any more: {kept.noun}s are kept for {kept.hours:g} h, this one is from before {before}"
    )


def _oldest(folder: LogFolder) -> int:
    names = folder.segments()
    return names[0].sequence if names else 0


def _log_id(folder: LogFolder) -> bytes | None:
    """The id of a log; None where it can't be read, which must not hide the other logs."""
    try:
        return folder.log_id
    except (WalError, OSError):
        return None
