"""`collector replay`."""

import argparse
import asyncio
import logging
import re
import sys

from collector.cli.progress import print_member, progress_of
from collector.process_log.lines import utc_with_ms
from collector.settings import load_settings
from collector.ship.replay import NAME_PATTERN, Replay, ReplayReport, replay, sink_named
from wal.log import now_ms
from wal.tools.arguments import (
    TIME_HELP,
    add_conditions,
    add_ends,
    add_json,
    expect_times,
    refuse_empty_times,
    time_argument,
)
from wal.tools.select import Selection
from wal.tools.terminal import harmless, prepare_stdout


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sink and the selection of events."""
    parser.add_argument("--sink", required=True, metavar="NAME", help="a sink in the settings")
    parser.add_argument(
        "--from",
        dest="since",
        type=time_argument,
        required=True,
        metavar="T",
        help=f"committed at T or later: {TIME_HELP}",
    )
    refuse_empty_times(parser)
    parser.add_argument("--to", type=time_argument, metavar="T", help="committed before T, in the same forms (now)")
    add_ends(parser)
    add_conditions(parser)
    parser.add_argument(
        "--name",
        type=_name,
        default="",
        metavar="NAME",
        help="another name, of a-z, 0-9, _ and -, makes another replay of the same",
    )
    parser.add_argument("--dead-letters", action="store_true", help="only the events that this sink refused")
    parser.add_argument("--dry-run", action="store_true", help="count the events and send nothing")
    add_json(parser)
    parser.epilog = (
        "exit code 1: the sink refused an event, or an error\n\n"
        "example: collector replay --sink file --from 2026-01-31T03:00Z --to 2026-01-31T04:00Z --where source=pos"
    )


def run(options: argparse.Namespace) -> int:
    """Send retained events to a sink. Exit code 1 if it refused one."""
    settings = load_settings(options.config)
    _log_to_stderr()
    since = _printable(options.since)
    until = now_ms() if options.to is None else _printable(options.to)
    expect_times(options, since, until)
    selection = Selection(since, until, where=tuple(options.where), ends=tuple(options.ends))
    request = Replay(
        sink_named(settings, options.sink), selection, options.name, options.dead_letters, is_dry=options.dry_run
    )
    times = f"--from {utc_with_ms(since / 1000)} --to {utc_with_ms(until / 1000)}"
    print(f"replay {request.label}: {times}; if interrupted, run it again with these times", file=sys.stderr)
    with progress_of(_text, as_json=options.json) as show:
        report = asyncio.run(replay(settings, request, show))
    prepare_stdout()  # not before: a sink's connection that breaks must not end the replay
    if options.json:
        print_member("result", report)
    else:
        _print(report, is_dry=request.is_dry)
    return int(bool(report.refused))


def _name(text: str) -> str:
    if not re.match(NAME_PATTERN, text):
        raise argparse.ArgumentTypeError(f"expected at most 64 of a-z, 0-9, _ and -, got {text!r:.80}")
    return text


def _printable(unix_ms: int) -> int:
    """The time, or the nearest one from 0 to 13 digits: others can't all be printed, and given to a second run."""
    return min(max(unix_ms, 0), 10**13 - 1)


def _text(report: ReplayReport) -> str:
    return f"{report.events} events, {report.bytes >> 20} MiB"


def _print(report: ReplayReport, *, is_dry: bool) -> None:
    verb = "would be sent" if is_dry else "sent"
    print(f"{verb}: {report.events - report.skipped - len(report.refused)} events in {report.batches} batches")
    print(f"sent by an earlier run: {report.skipped}")
    print(f"refused: {len(report.refused)}")
    for event, reason in report.refused.items():
        print(harmless(f"  {event}: {reason}"))
    if report.refused:
        print("correct the cause, then send each of them with the same call and `--where id=ID`")
    if report.unproven:
        print(f"left out, because they may not be fsynced yet: {report.unproven}")
    if report.unnamed:
        print(f"left out, because they have no id: {report.unnamed}")


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_HarmlessFormatter("collector: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)


class _HarmlessFormatter(logging.Formatter):
    """Escapes control characters: the text may come from a sink or a damaged log."""

    def format(self, record: logging.LogRecord) -> str:
        return harmless(super().format(record))
