"""`wal`: look inside a log, also while it is being written; and mend one that is not."""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final, TypeVar

from wal.errors import WalError
from wal.files import Files
from wal.follow import Follower, logs
from wal.listing import listing
from wal.log import now_ms
from wal.repair import plan
from wal.segment import Block, list_segments
from wal.select import Selection, parse_condition, parse_time
from wal.verify import Finding, Summary, verify

_FILES: Final = Files()
_POLL_SECONDS: Final = 0.1
_BAR_WIDTH: Final = 30

Run = Callable[[argparse.Namespace], int]
T = TypeVar("T")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 for damage, 2 for a wrong call, 130 for Ctrl-C."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `wal cat … | head` ends without a word
    options = _parser().parse_args(arguments)
    run: Run = options.run
    try:
        return run(options)
    except KeyboardInterrupt:
        return 130
    except FileNotFoundError as error:
        print(f"wal: {error}", file=sys.stderr)
        return 2
    except (WalError, OSError) as error:
        print(f"wal: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="wal", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Run, text: str, example: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text, epilog=f"example: wal {name} {example}")
        added.add_argument("directory", metavar="DIR", help="a log, or a folder of logs such as data/log")
        added.set_defaults(run=run)
        return added

    command("ls", _ls, "list segments, cursors and damage", "data/log")
    cat = command("cat", _cat, "print events in order of time, one JSON object a line", "--where ea=click data/log")
    tail = command("tail", _tail, "print the last events in order of time", "-f --field event.uid data/log")
    for each in (cat, tail):
        add_selection(each)
        each.add_argument(
            "--field", action="append", default=[], metavar="PATH", help="print this value alone; repeat it for more"
        )
        each.add_argument("--raw", action="store_true", help="as stored, without colours")
    cat.add_argument("-n", type=count_argument, metavar="N", help="at most so many events")
    tail.add_argument("-n", type=count_argument, default=10, metavar="N", help="how many events to begin with (10)")
    tail.add_argument("-f", "--follow", action="store_true", help="go on with new events until Ctrl-C")
    check = command("verify", _verify, "read everything, and say what is damaged and where", "--json data/log")
    check.add_argument("--json", action="store_true", help="print one JSON object a line")
    mend = command("repair", _repair, "say what would make a damaged log open again, or do it", "--apply data/log/00")
    mend.add_argument("--apply", action="store_true", help="do it; without this nothing is changed")
    return parser


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Arguments that choose lines of a log, for `selection_of`."""
    parser.add_argument("--since", type=time_argument, default=0, metavar="T", help="2026-01-31T03:00, or 10m ago")
    parser.add_argument("--until", type=time_argument, default=10**13, metavar="T", help="up to, not including")
    parser.add_argument("--from-seq", type=int, default=0, metavar="N", help="from this sequence of each log on")
    add_conditions(parser)


def add_conditions(parser: argparse.ArgumentParser) -> None:
    """An argument that chooses lines by their values."""
    parser.add_argument(
        "--where",
        type=_argument(parse_condition),
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="only such events",
    )


def selection_of(options: argparse.Namespace, fields: Sequence[str] = ()) -> Selection:
    """What the arguments of `add_selection` ask for."""
    return Selection(options.since, options.until, options.from_seq, tuple(options.where), tuple(fields))


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"{text!r} is no number of events")
    return int(text)


def _argument(parse: Callable[[str], T]) -> Callable[[str], T]:
    """A parser of one argument whose own words reach the user."""

    def checked(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return checked


count_argument: Final = _argument(_count)
"""The type of a number of events."""
time_argument: Final = _argument(lambda text: parse_time(text, now_ms()))
"""The type of a time, to Unix ms."""


def _ls(options: argparse.Namespace) -> int:
    for directory in logs(_FILES, options.directory):
        for line in listing(_FILES, directory):
            print(line)
    return 0


def _cat(options: argparse.Namespace) -> int:
    follower = _follower(options)
    follower.show(islice(follower.new_lines(), options.n))
    return int(follower.is_damaged)


def _tail(options: argparse.Namespace) -> int:
    follower = _follower(options)
    follower.show(follower.last_lines(options.n))
    while options.follow:
        follower.show(follower.new_lines())
        time.sleep(_POLL_SECONDS)
    return int(follower.is_damaged)


def _follower(options: argparse.Namespace) -> Follower:
    return Follower(_FILES, options.directory, selection_of(options, options.field), is_raw=options.raw)


def _verify(options: argparse.Namespace) -> int:
    is_damaged = False
    for directory in logs(_FILES, options.directory):
        bar = _Bar(directory)
        for result in verify(_FILES, directory, bar.move):
            bar.clear()
            if isinstance(result, Finding):
                is_damaged = is_damaged or result.kind != "torn"
            print(_as_json(directory, result) if options.json else _as_text(directory, result))
    return int(is_damaged)


def _as_json(directory: str, result: Finding | Summary) -> str:
    if isinstance(result, Summary):
        return json.dumps({"type": "summary", "log": directory, **result._asdict()})
    told = {"path": result.path, "lost": result.lost, "message": result.message}
    return json.dumps({"type": result.kind, "log": directory, **told})


def _as_text(directory: str, result: Finding | Summary) -> str:
    if isinstance(result, Summary):
        return f"{directory}: {result.segments} segments, {result.events} events and {result.bytes} bytes can be read"
    return f"{result.kind}: {result.path}: {result.message}"


class _Bar:
    """Progress on a terminal, by bytes of the log."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._all = sum(
            os.path.getsize(os.path.join(directory, str(name))) for name in list_segments(_FILES, directory)
        )
        self._done = self._shown = 0
        self._is_shown = sys.stderr.isatty()

    def move(self, block: Block) -> None:
        """Count a block that was read."""
        self._done += block.header.end - block.header.offset
        share = min(self._done * _BAR_WIDTH // max(self._all, 1), _BAR_WIDTH)
        if self._is_shown and share != self._shown:
            self._shown = share
            print(f"\r{self._directory} [{'#' * share:{_BAR_WIDTH}}]", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the bar away, for a line of text."""
        if self._is_shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _repair(options: argparse.Namespace) -> int:
    for directory in logs(_FILES, options.directory):
        lock = _FILES.lock(os.path.join(directory, "LOCK"))
        try:
            steps = plan(_FILES, directory)
            for step in steps:
                print(f"{directory}: {step.text}")
                if options.apply:
                    step.apply()
            if not steps:
                print(f"{directory}: nothing to repair")
        finally:
            _FILES.close(lock)
    if not options.apply:
        print("nothing was changed; --apply does it")
    return 0
