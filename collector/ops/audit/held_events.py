"""The events of one log that a sink's files hold, asked for in order of sequence.

Only the files around the place are read, and of these the ranges alone are kept: memory does not grow with the log.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from collector.errors import SinkError
from collector.ops.audit.ranges import Range, coverage, runs
from collector.ship.holdings import Holdings
from collector.ship.partition import DeliveredFile


class _Open(NamedTuple):
    file: DeliveredFile
    ranges: list[Range]
    """Its events, in their order there."""
    relayed: Sequence[str] = ()
    """The ids of those whose sequence the log alone knows."""


class HeldEvents:
    """Reads each file once. A file that can't be read holds nothing, and is a problem."""

    def __init__(self, holdings: Holdings, files: Iterable[DeliveredFile], on_problem: Callable[[str], None]) -> None:
        """`files` are those of one log. `on_problem` gets a message for each file that is not as it should be."""
        self._holdings = holdings
        self._files = sorted(files, key=lambda file: file.first, reverse=True)
        self._on_problem = on_problem
        self._open: list[_Open] = []

    @property
    def has_relayed(self) -> bool:
        """Whether a file around the last span has events whose sequence the log alone knows."""
        return any(opened.relayed for opened in self._open)

    async def within(self, span: Range, relayed: Mapping[str, int]) -> list[Range]:
        """The ranges that files have of a span, in any order. Each call asks for a later span than the one before.

        `relayed` has the sequences of the span's relayed events, by id.
        """
        self._open = [opened for opened in self._open if opened.file.last >= span.first]
        while self._files and self._files[-1].first <= span.last:
            file = self._files.pop()
            if file.last >= span.first:
                self._open.append(await self._read(file))
        found = [part for opened in self._open for part in _clipped(opened.ranges, span)]
        for opened in self._open if relayed else ():
            found += runs([relayed[event_id] for event_id in opened.relayed if event_id in relayed])
        return found

    def places(self) -> list[tuple[str, list[Range]]]:
        """The files around the last span, and the set of sequences that each has."""
        return [(opened.file.name, coverage(opened.ranges)[0]) for opened in self._open]

    def named_places(self) -> list[tuple[str, list[Range]]]:
        """The same files, and the set of sequences that each one's name says it has."""
        return [(opened.file.name, [Range(opened.file.first, opened.file.last)]) for opened in self._open]

    async def _read(self, file: DeliveredFile) -> _Open:
        try:
            events = await self._holdings.events(file)
        except SinkError as error:
            self._on_problem(f"{self._holdings.where}/{file.name}: {error}")
            return _Open(file, [])
        ranges = runs(events.sequences)
        if any(span.first < file.first or span.last > file.last for span in ranges):
            self._on_problem(f"{self._holdings.where}/{file.name}: it holds events that its name does not say")
        return _Open(file, _clipped(ranges, Range(file.first, file.last)), events.relayed)


def _clipped(ranges: list[Range], bounds: Range) -> list[Range]:
    """The parts of ranges, which may overlap, within bounds."""
    first, last = bounds
    return [
        span if first <= span.first and span.last <= last else Range(max(span.first, first), min(span.last, last))
        for span in ranges
        if span.first <= last and span.last >= first
    ]
