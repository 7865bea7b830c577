"""Prints rows: a table on a terminal, tab-separated lines elsewhere, one JSON object a line for programs.

Owns the three forms, so that every command that lists has the same ones. Knows nothing of logs.
"""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from wal.tools.terminal import harmless

if TYPE_CHECKING:
    from rich.table import Table

_TABLE_ROWS: Final = 1000
"""Most rows of one table. A longer listing gets several tables, because a table is in memory until it is printed."""


class Column(NamedTuple):
    """The head of a column. Numbers are aligned on the right."""

    head: str
    is_number: bool = False


class Row(NamedTuple):
    """One row: the members of its JSON object, and its cells for people in the order of the columns."""

    members: Mapping[str, object]
    cells: Sequence[object]


def print_rows(columns: Sequence[Column], rows: Iterable[Row], *, as_json: bool) -> None:
    """Print rows as they come. What `rows` raises is raised after the rows before it are printed."""
    if as_json:
        for row in rows:
            print(harmless(json.dumps(row.members)))
    elif sys.stdout.isatty():
        _print_tables(columns, rows)
    else:
        print(_line(column.head for column in columns))
        for row in rows:
            print(_line(row.cells))


def _line(cells: Iterable[object]) -> str:
    """Cells with tabs between them. A doubled backslash tells one of the text from the escape of another character."""
    return "\t".join(harmless(str(cell).replace("\\", "\\\\")) for cell in cells)


def _print_tables(columns: Sequence[Column], rows: Iterable[Row]) -> None:
    # Only here: importing rich takes longer than most listings.
    from rich.console import Console  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(color_system=None if os.environ.get("NO_COLOR") else "auto")
    table = _table(columns)
    try:
        for number, row in enumerate(rows):
            if number and number % _TABLE_ROWS == 0:
                console.print(table)
                table = _table(columns)
            table.add_row(*(Text(harmless(str(cell))) for cell in row.cells))
    finally:
        console.print(table)


def _table(columns: Sequence[Column]) -> "Table":
    """An empty table. A long cell is folded into several lines, since a cut one would hide the end of a message."""
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(Text(harmless(column.head)), justify="right" if column.is_number else "left", overflow="fold")
    return table
