"""The events of one log in spans, between a beginning and an end that are fixed before it is read.

A writer may append meanwhile, and retention may drop segments: neither makes an event look lost.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from collector.errors import UNDECODABLE
from collector.ops.audit.ranges import Range
from collector.ops.event_property import EventProperty, properties_of
from wal.damage import Damage, read_ledger
from wal.folder import LogFolder
from wal.reader import Reader
from wal.segment import Block
from wal.tools.follow import start_of_selection
from wal.tools.select import Selection
from wal.tools.verify import Finding, read_on

_SPAN_EVENTS: Final = 1 << 14
"""Events of a span: enough for the work on a span to cost little, few enough for their properties to stay small."""


class Span(NamedTuple):
    """Events that follow one another, and the property of each.

    `properties` is None where the log can't give the events any more. They are damaged, or else `is_gone` is true: then
    nothing says why they are not there.
    """

    range: Range
    properties: list[EventProperty] | None
    is_gone: bool = False
    relayed: Mapping[str, int] = {}
    """The sequences of the events that other nodes relayed, by id: they keep the ids of their first logs."""

    @property
    def damaged(self) -> list[Range]:
        """The set of damaged events."""
        return [] if self.properties is not None or self.is_gone else [self.range]


class LogEvents:
    """Reads a log once, from the oldest selected event on, up to the end that it has when `fix_end` is called."""

    def __init__(self, folder: LogFolder, selection: Selection, on_problem: Callable[[str], None]) -> None:
        """The beginning is fixed here. `on_problem` gets each place where the log is not whole. Raises OSError."""
        self.dropped: list[Range] = []
        """Events that retention dropped before they could be read."""
        self._folder = folder
        self._selection = selection
        self._on_problem = on_problem
        self._end = (0, 0)
        self._start = start_of_selection(folder, selection)
        oldest = folder.oldest()
        self.first = oldest.sequence if oldest else 1
        """The first event of the oldest segment."""
        self.next = self._start.sequence if self._start else 1
        """The sequence after the event that was read last."""

    def fix_end(self) -> None:
        """Read up to here, and no further. Raises OSError."""
        while names := self._folder.segments():
            with suppress(FileNotFoundError):  # retention has deleted it meanwhile
                self._end = (names[-1].number, os.path.getsize(self._folder.segment_file(names[-1])))
                return

    def spans(self) -> Iterator[Span]:
        """The selected events, in order. Raises Unreadable, OSError."""
        waiting: list[EventProperty] = []
        relayed: dict[str, int] = {}
        first = end = 0
        for piece in self._pieces():
            if waiting and (piece.properties is None or piece.range.first != end or len(waiting) >= _SPAN_EVENTS):
                yield Span(Range(first, end - 1), waiting, relayed=relayed)
                waiting, relayed = [], {}
            if piece.properties is None:
                yield piece
                continue
            first = first if waiting else piece.range.first
            end = piece.range.last + 1
            waiting += piece.properties
            relayed |= piece.relayed
        if waiting:
            yield Span(Range(first, end - 1), waiting, relayed=relayed)

    def _pieces(self) -> Iterator[Span]:
        """A span for each block, damage, and gap."""
        if self._start is None:
            return
        with closing(Reader(self._folder, self._start)) as reader:
            for step in self._steps(reader):
                yield from self._gap(step.start.sequence)
                if (step.start.segment, step.start.offset) >= self._end:
                    return
                is_next, here = step.start.sequence == self.next, Range(step.start.sequence, step.end.sequence - 1)
                self.next = max(self.next, step.end.sequence)
                if isinstance(step, Damage):
                    if here.events:
                        yield Span(here, None)
                elif is_next and here.events and self._is_selected(step):
                    yield Span(
                        here,
                        properties_of(step.payload, step.header.records),
                        relayed=_relayed(step, self._folder.log_id),
                    )
            yield from self._gap(reader.position.sequence)  # retention may have left a segment without a block

    def _steps(self, reader: Reader) -> Iterator[Block | Damage]:
        """All blocks and damage."""
        for step in read_on(reader):
            found = self._damage(step) if isinstance(step, Finding) else step
            if found:
                yield found

    def _damage(self, finding: Finding) -> Damage | None:
        """The damage of a finding. The reader goes on after the others, which only a person can judge."""
        damage = finding.damage
        if damage is None:
            if finding.kind != "dropped":
                self._on_problem(f"{finding.path}: {finding.message}")
        elif finding.is_new_damage and damage.lost and read_ledger(self._folder).unrecorded(damage):
            self._on_problem(f"{finding.path}: {damage}; damage.ndjson does not have it yet")
        return damage

    def _gap(self, sequence: int) -> Iterator[Span]:
        """The events between the one read last and `sequence`, unless retention dropped them."""
        if self.next >= sequence:
            return
        oldest = self._folder.oldest()
        there = min(max(self.next, oldest.sequence if oldest else 0), sequence)
        if self.next < there:
            self.dropped.append(Range(self.next, there - 1))
        if there < sequence:
            yield Span(Range(there, sequence - 1), None, is_gone=True)
        self.next = sequence

    def _is_selected(self, block: Block) -> bool:
        return self._selection.since_ms <= block.header.timestamp_ms < self._selection.until_ms


class _Record(Struct):
    id: str = ""


_decode_id: Final = msgspec.json.Decoder(_Record).decode


def _relayed(block: Block, log_id: bytes) -> dict[str, int]:
    """The sequences of the lines that have the id of another log. Lines of this log begin with its id."""
    own = b'{"id":"%b-' % log_id
    if block.payload.startswith(own) + block.payload.count(b"\n" + own) == block.header.records:
        return {}
    found: dict[str, int] = {}
    for sequence, line in enumerate(block.payload.split(b"\n")[:-1], block.header.sequence):
        if not line.startswith(own) and (event_id := _id(line)):
            found[event_id] = sequence
    return found


def _id(line: bytes) -> str:
    try:
        return _decode_id(line).id
    except UNDECODABLE:
        return ""
