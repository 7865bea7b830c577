"""The closing table of the crash tests: what each test injected, and what became of the acknowledged events."""

from collections.abc import Collection, Hashable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any


@dataclass
class Tally:
    """The sums of one test; one row of the table."""

    test: str
    faults: int = 0
    acknowledged: int = 0
    recovered: int = 0
    lost: int = 0
    duplicated: int = 0

    def add(self, acknowledged: Collection[Hashable], recovered: Collection[Hashable], faults: int = 1) -> None:
        """Count the acknowledged events that were to be found, and all that were found, after so many faults."""
        distinct = set(recovered)
        self.faults += faults
        self.acknowledged += len(acknowledged)
        self.recovered += len(recovered)
        self.lost += len(set(acknowledged) - distinct)
        self.duplicated += len(recovered) - len(distinct)


def table(tallies: Sequence[Any]) -> Iterator[str]:
    """The lines of a table of dataclasses of one kind, columns aligned. There is at least one."""
    names = tuple(field.name.replace("_", " ") for field in fields(tallies[0]))
    rows = [names, *(tuple(map(str, astuple(tally))) for tally in tallies)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for test, *sums in rows:
        yield " | ".join(
            [test.ljust(widths[0]), *(text.rjust(width) for text, width in zip(sums, widths[1:], strict=True))]
        )
