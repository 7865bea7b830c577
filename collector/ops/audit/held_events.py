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
        return any(each.relayed for each in self._open)

    async def within(self, span: Range, relayed: Mapping[str, int]) -> list[Range]:
        """The ranges that files have of a span, in any order. Each call asks for a later span than the one before.

        `relayed` has the sequences of the span's relayed events, by id.
        """
        self._open = [each for each in self._open if each.file.last >= span.first]
        while self._files and self._files[-1].first <= span.last:
            file = self._files.pop()
            if file.last >= span.first:
                self._open.append(await self._read(file))
        found = [each for opened in self._open for each in _clipped(opened.ranges, span)]
        for opened in self._open if relayed else ():
            found += runs([relayed[each] for each in opened.relayed if each in relayed])
        return found

    def places(self) -> list[tuple[str, list[Range]]]:
        """The files around the last span, and the set of sequences that each has."""
        return [(each.file.name, coverage(each.ranges)[0]) for each in self._open]

    def named_places(self) -> list[tuple[str, list[Range]]]:
        """The same files, and the set of sequences that each one's name says it has."""
        return [(each.file.name, [Range(each.file.first, each.file.last)]) for each in self._open]

    async def _read(self, file: DeliveredFile) -> _Open:
        try:
            events = await self._holdings.events(file)
        except SinkError as error:
            self._on_problem(f"{self._holdings.where}/{file.name}: {error}")
            return _Open(file, [])
        ranges = runs(events.sequences)
        if any(each.first < file.first or each.last > file.last for each in ranges):
            self._on_problem(f"{self._holdings.where}/{file.name}: it holds events that its name does not say")
        return _Open(file, _clipped(ranges, Range(file.first, file.last)), events.relayed)


def _clipped(ranges: list[Range], bounds: Range) -> list[Range]:
    """The parts of ranges, which may overlap, within bounds."""
    first, last = bounds
    return [
        each if first <= each.first and each.last <= last else Range(max(each.first, first), min(each.last, last))
        for each in ranges
        if each.first <= last and each.last >= first
    ]
