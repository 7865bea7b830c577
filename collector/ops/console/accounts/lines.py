"""Counts lines of logs by property: events of a gap, events in dead letters, events that a sink waits for. Blocks."""

from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from collector.errors import UNDECODABLE
from collector.ops.console.accounts.store import DAY_MS, RefusedEvent
from collector.ops.event_property import properties_of
from wal.cursor import Cursor
from wal.folder import LogFolder
from wal.format import Position
from wal.reader import read_from
from wal.seek import place_before
from wal.segment import Block

MOST_BACKLOG_BYTES: Final = 4 << 20
"""A longer backlog is not counted by property: it would take more than 20 ms."""

_SEQUENCE_DIGITS: Final = 16

PropertyOfDay = tuple[int, str]


class _Letter(Struct):
    id: str
    portal_id: int
    prop_id: int
    received_at: int
    sink: str = ""
    part: int = 1
    raw: msgspec.Raw = msgspec.Raw()


class _Refused(Struct):
    """The record that a sink refused."""

    id: str


_decode_letter: Final = msgspec.json.Decoder(_Letter).decode
_decode_refused: Final = msgspec.json.Decoder(_Refused).decode


class CountedPart(NamedTuple):
    """Events by day and property, and the place after them."""

    place: Position
    events: Counter[PropertyOfDay]


def events_from(folder: LogFolder, sequence: int, until_ms: int) -> Iterator[CountedPart]:
    """Each block with events from a sequence on, until one that was committed at this time. Raises WalError, OSError.

    Events that other nodes relayed are left out: they were received there.
    """
    start = place_before(folder, sequence) or folder.oldest()
    for block in _blocks(folder, start):
        if block.header.timestamp_ms >= until_ms:
            return
        if block.end.sequence > sequence:
            yield CountedPart(block.end, _own_events(folder, block, sequence))


class RefusedPart(NamedTuple):
    """Events that sinks refused, and the place after their letters."""

    place: Position
    events: list[RefusedEvent]


def letters_from(folder: LogFolder, start: Position | None) -> Iterator[RefusedPart]:
    """Each block of a log of dead letters from a place on, with the events that sinks refused.

    Raises WalError, OSError.
    """
    oldest = folder.oldest()
    start = max(start, oldest) if start and oldest else oldest
    for block in _blocks(folder, start):
        yield RefusedPart(block.end, [event for line in block.payload.split(b"\n")[:-1] for event in _refused_in(line)])


def backlog_of(folder: LogFolder, slowest: Cursor) -> Counter[PropertyOfDay]:
    """The events after the cursor that is furthest behind. Raises WalError, OSError."""
    events: Counter[PropertyOfDay] = Counter()
    for block in _blocks(folder, slowest.acked):
        if block.end.sequence > slowest.settled:
            events += _own_events(folder, block, slowest.settled)
    return events


def _refused_in(line: bytes) -> Iterator[RefusedEvent]:
    """The event of a letter of a sink. Where its record can't be read, the letter's own id stands for it."""
    try:
        letter = _decode_letter(line)
    except UNDECODABLE:
        return
    if not letter.sink or letter.part != 1:
        return
    try:
        name = _decode_refused(letter.raw).id
    except UNDECODABLE:
        name = letter.id
    log, _, sequence = name.rpartition("-")
    if sequence.isdecimal() and len(sequence) <= _SEQUENCE_DIGITS:
        yield RefusedEvent(log, int(sequence), letter.received_at // DAY_MS, f"{letter.portal_id}/{letter.prop_id}")


def _blocks(folder: LogFolder, start: Position | None) -> Iterator[Block]:
    """The blocks with events from a place on; damage is passed over."""
    if start is None:
        return
    for step in read_from(folder, start):
        if isinstance(step, Block) and step.header.records:
            yield step


def _own_events(folder: LogFolder, block: Block, sequence: int) -> Counter[PropertyOfDay]:
    """The events of a block from a sequence on that this node received."""
    day = block.header.timestamp_ms // DAY_MS
    lines, own = block.payload.split(b"\n")[:-1], b'{"id":"%b-' % folder.log_id
    skipped = max(0, sequence - block.header.sequence)
    received = [line for line in lines[skipped:] if line.startswith(own)]
    found = Counter(properties_of(b"\n".join(received), len(received)))
    return Counter({(day, str(prop)): events for prop, events in found.items() if prop.is_known})
