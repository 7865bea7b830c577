"""`collector count`."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import Final

from collector.cli.counting import GroupCounts
from collector.cli.progress import progress
from collector.settings import load_settings
from wal.files import Files
from wal.tools.arguments import add_json, add_selection, count_argument, selection_of
from wal.tools.follow import Follower
from wal.tools.tables import Column, Row, print_rows
from wal.tools.terminal import prepare_stdout

_LINES_A_STEP: Final = 1 << 16
_TOTALS: Final = tuple(Column(head, is_number=True) for head in ("events", "groups", "events of groups not listed"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the fields, the selection of events and the form of the output."""
    parser.add_argument(
        "--by",
        type=_fields,
        action="extend",
        required=True,
        metavar="FIELD[,FIELD]",
        help="count by these values: names as `wal cat --field` takes them, such as ea, prop_id or dims.category.id",
    )
    add_selection(parser)
    parser.add_argument("--limit", type=count_argument, metavar="N", help="list only the N groups with the most events")
    add_json(parser)
    parser.add_argument(
        "directory", nargs="?", metavar="DIR", help="a log, or a folder of logs (log.dir of the settings)"
    )
    parser.epilog = (
        "At most 100,000 groups are held; if there are more, stderr says so.\n"
        "exit code 1: damage that is not recorded in damage.ndjson, or an error\n\n"
        "example: collector count --by ea,prop_id --since 1h"
    )


def run(options: argparse.Namespace) -> int:
    """Print how many events of the log have which values. Exit code 1 for new damage."""
    directory = options.directory or load_settings(options.config).log.dir
    prepare_stdout()
    with closing(Follower(Files(), directory, selection_of(options), is_raw=True)) as follower:
        counts = _counted(follower.new_lines(), options.by)
    groups = counts.groups()
    listed = groups[: options.limit]
    columns = (*map(Column, options.by), Column("events", is_number=True))
    print_rows(columns, (_row(options.by, *group) for group in listed), as_json=options.json)
    if not options.json:
        print()
    totals = (counts.total, len(groups), counts.total - sum(count for _, count in listed))
    members = dict(zip(("events", "groups", "events_not_listed"), totals, strict=True))
    print_rows(_TOTALS, [Row({"type": "total", **members}, totals)], as_json=options.json)
    _warn(counts)
    return int(follower.is_damaged)


def _fields(text: str) -> list[str]:
    """The names of fields with commas between them. Raises ArgumentTypeError for one without a character."""
    fields = text.split(",")
    if "" in fields:
        raise argparse.ArgumentTypeError(f"{text!r} has an empty name of a field; expected e.g. ea,prop_id")
    return fields


def _counted(lines: Iterator[bytes], fields: list[str]) -> GroupCounts:
    counts = GroupCounts(fields)
    with progress() as show:
        while part := list(islice(lines, _LINES_A_STEP)):
            for line in part:
                counts.add(line)
            show(f"{counts.total} events")
    return counts


def _row(fields: list[str], values: tuple[str, ...], count: int) -> Row:
    by = dict(zip(fields, values, strict=True))
    return Row({"type": "group", "by": by, "events": count}, (*values, count))


def _warn(counts: GroupCounts) -> None:
    if counts.others:
        text = f"too many groups: {counts.others} events are in none of those that were held; select fewer by --where"
        print(f"collector: {text}", file=sys.stderr)
    if counts.unreadable:
        print(f"collector: not JSON objects, and not counted: {counts.unreadable} events", file=sys.stderr)
