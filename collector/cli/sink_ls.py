"""`collector sink ls`."""

import argparse
import os
from datetime import timedelta

from collector.settings import load_settings
from collector.ship.status import Status, statuses
from wal.log import now_ms
from wal.tools.terminal import harmless, prepare_stdout


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """Add none."""


def run(options: argparse.Namespace) -> int:
    """Print each sink of each log, one a line."""
    settings = load_settings(options.config)
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
