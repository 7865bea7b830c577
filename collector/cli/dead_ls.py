"""`collector dead ls`."""

import argparse
from datetime import UTC, datetime
from itertools import islice

from collector.dead_letters.reader import DeadLetter, read_letters
from collector.settings import load_settings
from wal.tools.arguments import add_selection, count_argument, selection_of
from wal.tools.terminal import harmless, prepare_stdout


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the number of dead letters, and their selection."""
    parser.add_argument("-n", type=count_argument, metavar="N", help="at most N")
    add_selection(parser)


def run(options: argparse.Namespace) -> int:
    """Print dead letters, one a line."""
    settings = load_settings(options.config)
    prepare_stdout()
    for dead_letter in islice(read_letters(settings.dead_letters.dir, selection_of(options)), options.n):
        print(harmless(_line(dead_letter)))
    return 0


def _line(dead_letter: DeadLetter) -> str:
    letter = dead_letter.record
    when = datetime.fromtimestamp(letter.received_at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    fields = ",".join(fault.field for fault in letter.errors)
    where = f"{letter.portal_id}/{letter.prop_id}"
    return f"{letter.id}  {when}  {where:24} {len(dead_letter.body):>8} bytes  {letter.reason} {fields}".rstrip()
