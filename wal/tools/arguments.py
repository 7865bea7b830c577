"""Command-line arguments that select events of a log."""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from wal.log import now_ms
from wal.tools.select import Selection, parse_condition, parse_end, parse_time

T = TypeVar("T")


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add arguments that select lines of a log, for `selection_of`."""
    add_times(parser)
    parser.add_argument("--from-seq", type=int, default=0, metavar="N", help="start at sequence N of each log")
    add_ends(parser)
    add_conditions(parser)


def add_times(parser: argparse.ArgumentParser) -> None:
    """Add the bounds of the time of commit."""
    parser.add_argument(
        "--since", type=time_argument, default=0, metavar="T", help=f"committed at T or later: {TIME_HELP}"
    )
    parser.add_argument(
        "--until", type=time_argument, default=10**13, metavar="T", help="committed before T, in the same forms"
    )
    refuse_empty_times(parser)


def refuse_empty_times(parser: argparse.ArgumentParser) -> None:
    """Have `expect_times` end the program as this parser does. An action can't: a later option may mend the range."""
    parser.set_defaults(refuse=parser.error)


def expect_times(options: argparse.Namespace, since_ms: int, until_ms: int) -> None:
    """End the program with 2, as for a wrong call, if the times end before they begin. Raises SystemExit."""
    if since_ms > until_ms:
        options.refuse(f"the times end {since_ms - until_ms} ms before they begin, so that they select nothing")


def add_ends(parser: argparse.ArgumentParser) -> None:
    """Add an argument that freezes a selection."""
    parser.add_argument(
        "--until-seq",
        dest="ends",
        type=_argument(parse_end),
        action="append",
        default=[],
        metavar="LOG=SEQ",
        help="only events before sequence SEQ of the log with this id, and of no other log; repeat it for more",
    )


def add_conditions(parser: argparse.ArgumentParser) -> None:
    """Add an argument that selects lines by their values."""
    parser.add_argument(
        "--where",
        type=_argument(parse_condition),
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="only events with this value; repeat it for more",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the choice of the form for programs."""
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def selection_of(options: argparse.Namespace, fields: Sequence[str] = ()) -> Selection:
    """The selection that the arguments of `add_selection` give. Raises SystemExit if it has no time."""
    expect_times(options, options.since, options.until)
    return Selection(
        options.since, options.until, options.from_seq, tuple(options.where), tuple(fields), tuple(options.ends)
    )


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"{text!r} is not a number of events")
    return min(int(text), sys.maxsize)


def _argument(parse: Callable[[str], T]) -> Callable[[str], T]:
    """A parser of one argument whose ValueError message reaches the user."""

    def parsed(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parsed


TIME_HELP: Final = "2026-01-31T03:00Z (UTC without an offset), Unix ms, 10m or '10m ago'"
"""The forms of a time, for a help text."""
count_argument: Final = _argument(_count)
"""The type of a number of events."""
time_argument: Final = _argument(lambda text: parse_time(text, now_ms()))
"""The type of a time, to Unix ms."""
