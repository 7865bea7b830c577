"""Why the event of an id is not there."""

from collections.abc import Sequence
from contextlib import closing

from wal.damage import read_ledger
from wal.folder import LogFolder
from wal.reader import Reader
from wal.seek import place_before
from wal.segment import Block
from wal.tools.select import EventId, values
from wal.tools.verify import Finding, read_on


def why_missing(folders: Sequence[LogFolder], event: EventId) -> str:
    """The reason, for a message. Raises Broken, Corrupt, Unreadable, OSError."""
    for folder in folders:
        if folder.log_id == event.log_id:
            return _why(folder, event)
    return f"no log here has the id {event.log_id.decode()}, and no relayed event here has this id"


def _why(folder: LogFolder, event: EventId) -> str:
    names, sequence = folder.segments(), event.sequence
    for entry in read_ledger(folder).entries:
        if entry.start.sequence <= sequence < entry.end.sequence:
            return f"it is damaged: {entry}"
    if sequence < 1:
        return "the first sequence of a log is 1"
    place = place_before(folder, sequence)
    if place is None:
        oldest = f"the oldest is {event._replace(sequence=names[0].sequence)}" if names else "this log has no segment"
        return f"retention has deleted it; {oldest}"
    with closing(Reader(folder, place)) as reader:
        return _why_from(reader, event)


def _why_from(reader: Reader, event: EventId) -> str:
    """The reason according to what there is from the reader's position on."""
    finding: Finding | None = None
    for step in read_on(reader):
        if isinstance(step, Finding):
            finding = step
        elif step.start.sequence <= event.sequence < step.end.sequence:
            return _why_not_selected(step, event)
        elif step.start.sequence > event.sequence:
            break
    if finding:
        return f"it is damaged: {finding}"
    return f"it is not written yet; the next event of this log is {event._replace(sequence=reader.position.sequence)}"


def _why_not_selected(block: Block, event: EventId) -> str:
    line = block.payload.split(b"\n")[event.sequence - block.start.sequence]
    if values(line, ["id"]) == [str(event)]:
        return "it is there, but not all conditions hold for it"
    return "the record at this place has another id; a relayed event keeps the id of its first log"
