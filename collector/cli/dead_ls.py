"""`collector dead ls`."""

import argparse
from itertools import islice
from typing import Final

from collector.dead_letters.reader import DeadLetter, members_to_show, read_letters
from collector.settings import load_settings
from wal.tools.arguments import add_json, add_selection, count_argument, selection_of
from wal.tools.listing import utc
from wal.tools.tables import Column, Row, print_rows
from wal.tools.terminal import prepare_stdout

_COLUMNS: Final = (
    Column("id"),
    Column("received (UTC)"),
    Column("property"),
    Column("bytes", is_number=True),
    Column("reason"),
    Column("fields"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the number of dead letters, their selection and the form of the output."""
    parser.add_argument("-n", type=count_argument, metavar="N", help="at most N")
    add_selection(parser)
    add_json(parser)
    parser.epilog = "example: collector dead ls --since 1h --where prop_id=2"


def run(options: argparse.Namespace) -> int:
    """Print dead letters in order of time."""
    settings = load_settings(options.config)
    prepare_stdout()
    letters = islice(read_letters(settings.dead_letters.dir, selection_of(options)), options.n)
    print_rows(_COLUMNS, map(_row, letters), as_json=options.json)
    return 0


def _row(dead_letter: DeadLetter) -> Row:
    letter, length = dead_letter.record, len(dead_letter.body)
    fields = ",".join(fault.field for fault in letter.errors)
    where = f"{letter.portal_id}/{letter.prop_id}"
    return Row(
        {**members_to_show(letter), "bytes": length},
        (letter.id, utc(letter.received_at), where, length, letter.reason, fields),
    )
