"""The command `wal`: show a log, even while it is being written; verify it; repair one that is not being written."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import islice
from typing import Final

from wal import __version__
from wal.errors import NoLog, WalError
from wal.files import Files, opened
from wal.folder import UNLISTED, LogFolder, find_logs, logs_below, unlisted_below
from wal.segment import Block
from wal.tools.arguments import add_json, add_selection, count_argument, selection_of
from wal.tools.completion import add_shell, script
from wal.tools.follow import Follower
from wal.tools.listing import segment_bytes
from wal.tools.ls import print_listing
from wal.tools.missing import why_missing
from wal.tools.repair import plan
from wal.tools.terminal import flush_stdout, harmless, open_streams, prepare_stdout
from wal.tools.verify import Finding, Summary, verify

_FILES: Final = Files()
_POLL_SECONDS: Final = 0.1
_BAR_WIDTH: Final = 30
_EXIT_CODES: Final = """\
exit codes: 0 done, 1 damage that is not recorded in damage.ndjson, or a failure,
2 a wrong call, 130 Ctrl-C"""
_EVENTS: Final = f"""\
A PATH is a list of names separated by dots, looked up in the record and then in its
event. A number is the index of an array element: event.ea, ea, items.0.id.
`cat --where id=LOG-SEQ` goes straight to this event in a log of any length. If it is
not there, stderr says why, and the exit code is 1.

Into a pipe, and with --raw, a line is printed byte for byte as it is stored. On a
terminal, control, bidi and invisible characters are escaped (\\u001b).
--field prints one line per event, with tabs between the values: a string as text,
with \\n, \\t, \\r, \\\\ and \\u001b for characters that would break the line; any other
value as JSON. An event that is not a JSON object never matches --where, has empty
columns with --field, and is counted on stderr.

{_EXIT_CODES}"""

Run = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit code: 0, 1 for damage, 2 for a wrong call, 130 for Ctrl-C."""
    open_streams()
    prepare_stdout()
    try:
        try:
            options = _parser().parse_args(arguments)
            run: Run = options.run
            return run(options)
        finally:
            flush_stdout()
    except KeyboardInterrupt:
        return 130
    except (WalError, OSError) as error:
        print(harmless(f"wal: {error}"), file=sys.stderr)
        return 2 if isinstance(error, NoLog) else 1


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="wal",
        description="Show a log, even while it is being written; repair one that is not being written.",
        epilog=_EXIT_CODES,
        formatter_class=raw,
    )
    parser.add_argument("--version", action="version", version=f"wal {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Run, text: str, example: str, notes: str = _EXIT_CODES) -> argparse.ArgumentParser:
        description, epilog = f"{text[0].upper()}{text[1:]}.", f"{notes}\n\nexample: wal {name} {example}"
        added = commands.add_parser(name, help=text, description=description, epilog=epilog, formatter_class=raw)
        added.add_argument("directory", metavar="DIR", help="a log, or a folder of logs such as data/log")
        added.set_defaults(run=run)
        return added

    add_json(command("ls", _ls, "list segments, cursors and damage", "data/log"))
    cat = command("cat", _cat, "print events in order of time, one a line", "--where ea=click data/log", _EVENTS)
    tail = command("tail", _tail, "print the last events in order of time", "-f --field event.uid data/log", _EVENTS)
    _add_printing(cat)
    _add_printing(tail)
    cat.add_argument("-n", type=count_argument, metavar="N", help="at most N events")
    tail.add_argument("-n", type=count_argument, default=10, metavar="N", help="begin with the last N events (10)")
    tail.add_argument("-f", "--follow", action="store_true", help="continue with new events until Ctrl-C")
    check = command("verify", _verify, "read everything, and print what is damaged and where", "--json data/log")
    add_json(check)
    check.add_argument(
        "--strict", action="store_true", help="exit with 1 also for damage that is recorded in damage.ndjson"
    )
    repair = command("repair", _repair, "print or take the steps that make a damaged log open", "--apply data/log/00")
    repair.add_argument("--apply", action="store_true", help="take the steps; without this nothing is changed")
    text = "print a script that makes a shell complete commands and options"
    completion = commands.add_parser(
        "completion", help=text, epilog="example, in ~/.bashrc: source <(wal completion bash)"
    )
    add_shell(completion)
    completion.set_defaults(run=_completion)
    return parser


def _add_printing(command: argparse.ArgumentParser) -> None:
    add_selection(command)
    command.add_argument(
        "--field", action="append", default=[], metavar="PATH", help="print only this value; repeat it for more"
    )
    command.add_argument("--raw", action="store_true", help="as stored, even on a terminal: no escapes, no colours")


def _ls(options: argparse.Namespace) -> int:
    are_whole = [print_listing(folder, as_json=options.json) for folder in find_logs(_FILES, options.directory)]
    return int(not all(are_whole))


def _cat(options: argparse.Namespace) -> int:
    with closing(_follower(options)) as follower:
        shown = follower.show(islice(follower.new_lines(), options.n))
    event = selection_of(options).event_id
    if event and not shown and options.n != 0:
        reason = why_missing(follower.logs(), event)
        print(harmless(f"wal: no event {event}: {reason}"), file=sys.stderr)
        return 1
    return int(follower.is_damaged)


def _tail(options: argparse.Namespace) -> int:
    with closing(_follower(options)) as follower:
        follower.show(follower.last_lines(options.n))
        while options.follow:
            follower.show(follower.new_lines())
            time.sleep(_POLL_SECONDS)
    return int(follower.is_damaged)


def _follower(options: argparse.Namespace) -> Follower:
    return Follower(_FILES, options.directory, selection_of(options, options.field), is_raw=options.raw)


def _verify(options: argparse.Namespace) -> int:
    found = find_logs(_FILES, options.directory)
    folders = [folder for log in found for folder in (log, *logs_below(_FILES, log.path))]
    failed = [_has_failed(folder, options) for folder in folders]
    unlisted = unlisted_below(_FILES, options.directory)
    for path in unlisted:
        print(harmless(f"wal: {path}: {UNLISTED}"), file=sys.stderr)
    return int(any(failed) or bool(unlisted))


def _has_failed(folder: LogFolder, options: argparse.Namespace) -> bool:
    """Verify one log, and print the findings."""
    has_failed = False
    bar = _Bar(folder)
    try:
        for result in verify(folder, bar.move):
            bar.clear()
            if isinstance(result, Finding):
                has_failed |= result.is_damage if options.strict else result.is_new_damage
            print(harmless(_as_json(folder.path, result) if options.json else _as_text(folder.path, result)))
    finally:
        bar.clear()
    return has_failed


def _as_json(directory: str, result: Finding | Summary) -> str:
    if isinstance(result, Summary):
        return json.dumps({"type": "summary", "log": directory, **result._asdict()})
    members = {"path": result.path, "lost": result.lost, "recorded": result.is_recorded, "message": result.message}
    return json.dumps({"type": result.kind, "log": directory, **members})


def _as_text(directory: str, result: Finding | Summary) -> str:
    if isinstance(result, Summary):
        return f"{directory}: {result.segments} segments, {result.events} events and {result.bytes} bytes can be read"
    return str(result)


def _completion(options: argparse.Namespace) -> int:
    print(script(_parser(), options.shell))
    return 0


class _Bar:
    """A progress bar on a terminal, by bytes of the log."""

    def __init__(self, folder: LogFolder) -> None:
        self._directory = folder.path
        self._all = sum(segment_bytes(folder, name) or 0 for name in folder.segments())
        self._done = self._shown = 0
        self._is_shown = sys.stderr.isatty()

    def move(self, block: Block) -> None:
        """Count a block that was read."""
        self._done += block.header.end - block.header.offset
        share = min(self._done * _BAR_WIDTH // max(self._all, 1), _BAR_WIDTH)
        if self._is_shown and share != self._shown:
            self._shown = share
            print(f"\r{harmless(self._directory)} [{'#' * share:{_BAR_WIDTH}}]", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Erase the bar before a line of text."""
        if self._is_shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _repair(options: argparse.Namespace) -> int:
    for folder in find_logs(_FILES, options.directory):
        if options.apply:
            with opened(_FILES, folder.lock()):
                _take_steps(folder, is_real=True)
        else:  # no lock: it would be a new file in a copy, which may be read-only
            folder.expect_unlocked()
            _take_steps(folder, is_real=False)
    if not options.apply:
        print("nothing was changed; --apply takes these steps")
    return 0


def _take_steps(folder: LogFolder, *, is_real: bool) -> None:
    """Print the steps that repair a log, and take each of them if `is_real`."""
    steps = plan(folder)
    for step in steps:
        print(harmless(f"{folder.path}: {step.text}"))
        if is_real:
            step.apply()
    if not steps:
        print(harmless(f"{folder.path}: nothing to repair"))
