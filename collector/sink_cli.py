"""`collector sink` and `collector replay`: their arguments, and what they print."""

import argparse
import asyncio
import logging
import os
import sys
from datetime import UTC, datetime, timedelta

from collector.config import Settings
from collector.replay import Replay, Report, replay, sink_named
from collector.sinks import Status, drop, statuses
from wal.log import now_ms
from wal.tools.arguments import TIME_HELP, add_conditions, time_argument
from wal.tools.select import Selection
from wal.tools.terminal import harmless, prepare_stdout


def add_drop(parser: argparse.ArgumentParser) -> None:
    """The arguments of `collector sink drop`."""
    parser.add_argument("name", metavar="NAME", help="a sink that is not in the settings any more")


def add_replay(parser: argparse.ArgumentParser) -> None:
    """The arguments of `collector replay`."""
    parser.add_argument("--sink", required=True, metavar="NAME", help="the sink in the settings that gets them")
    parser.add_argument(
        "--from",
        dest="since",
        type=time_argument,
        required=True,
        metavar="T",
        help=f"committed at T or later: {TIME_HELP}",
    )
    parser.add_argument("--to", type=time_argument, metavar="T", help="committed before T (now)")
    add_conditions(parser)
    parser.add_argument("--name", default="", metavar="NAME", help="another name makes another replay of the same")
    parser.add_argument("--dead-letters", action="store_true", help="only what this sink refused, as it was kept")
    parser.add_argument("--dry-run", action="store_true", help="count what would be sent, and send nothing")


def list_sinks(settings: Settings, _options: argparse.Namespace) -> int:
    """`collector sink ls`."""
    prepare_stdout()
    row = "{:14} {:16} {:18} {:>13} {:>14} {:>10} {:>12}  {}"
    print(row.format("sink", "log", "state", "events behind", "bytes behind", "seconds", "next seq", "last error"))
    for each in statuses(settings):
        lag, log = each.lag, os.path.relpath(each.directory)
        seconds = f"{_milliseconds_since(lag.since_ms) / 1000:.1f}" if lag and lag.since_ms else "0"
        behind = (lag.events, lag.bytes, seconds) if lag else ("?", "?", "?")
        print(harmless(row.format(each.sink, log, _state(each), *behind, each.next or "?", each.error).rstrip()))
    return 0


def _state(status: Status) -> str:
    if status.since_ms is None:
        return status.state
    return f"{status.state} {timedelta(seconds=_milliseconds_since(status.since_ms) // 1000)}"


def _milliseconds_since(unix_ms: int) -> int:
    """At least 0: the clock may have been set back since."""
    return max(now_ms() - unix_ms, 0)


def drop_sink(settings: Settings, options: argparse.Namespace) -> int:
    """`collector sink drop`."""
    for directory in drop(settings, options.name):
        print(f"{directory}: holds no segments for {options.name} any more")
    return 0


def replay_to_sink(settings: Settings, options: argparse.Namespace) -> int:
    """`collector replay`."""
    handler = logging.StreamHandler()
    handler.setFormatter(_HarmlessFormatter("collector: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    until = options.to or now_ms()
    selection = Selection(options.since, until, where=tuple(options.where))
    asked = Replay(
        sink_named(settings, options.sink), selection, options.name, options.dead_letters, is_dry=options.dry_run
    )
    times = f"--from {_iso(options.since)} --to {_iso(until)}"
    print(f"replay {asked.label}: {times}; where it is cut short, it goes on with these times", file=sys.stderr)
    is_shown = sys.stderr.isatty()

    def told(report: Report) -> None:
        if is_shown:
            print(f"\r{report.events} events, {report.bytes >> 20} MiB", end="", file=sys.stderr, flush=True)

    try:
        report = asyncio.run(replay(settings, asked, told))
    finally:
        if is_shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    prepare_stdout()  # not before: a sink's connection that breaks must not end the replay
    verb = "would be sent" if asked.is_dry else "sent"
    print(f"{verb}: {report.events - report.skipped - len(report.refused)} events in {report.batches} batches")
    print(f"sent by an earlier run: {report.skipped}")
    print(f"refused: {len(report.refused)}")
    for event, reason in report.refused.items():
        print(harmless(f"  {event}: {reason}"))
    if report.unproven:
        print(f"left out, since nothing proves them fsynced yet: {report.unproven}")
    return int(bool(report.refused))


class _HarmlessFormatter(logging.Formatter):
    """Formats what a sink or a damaged log says, which anybody may have written."""

    def format(self, record: logging.LogRecord) -> str:
        return harmless(super().format(record))


def _iso(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
