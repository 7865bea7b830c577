"""`collector sink ls`."""

import argparse
import os
from datetime import timedelta
from typing import Final

from collector.settings import load_settings
from collector.ship.status import Status, statuses
from wal.log import now_ms
from wal.tools.arguments import add_json
from wal.tools.tables import Column, Row, print_rows
from wal.tools.terminal import prepare_stdout

_COLUMNS: Final = (
    Column("sink"),
    Column("log"),
    Column("state"),
    Column("events behind", is_number=True),
    Column("bytes behind", is_number=True),
    Column("seconds", is_number=True),
    Column("next seq", is_number=True),
    Column("last error"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the form of the output."""
    add_json(parser)
    parser.epilog = "example: collector sink ls --json"


def run(options: argparse.Namespace) -> int:
    """Print each sink of each log."""
    settings = load_settings(options.config)
    prepare_stdout()
    print_rows(_COLUMNS, map(_row, statuses(settings)), as_json=options.json)
    return 0


def _row(status: Status) -> Row:
    lag, log = status.lag, os.path.relpath(status.directory)
    seconds = f"{lag.age_seconds(now_ms()):.1f}" if lag and lag.since_ms else "0"
    behind = (lag.events, lag.bytes, seconds) if lag else ("?", "?", "?")
    return Row(
        {
            "sink": status.sink,
            "log": log,
            "state": status.state,
            "since_ms": status.since_ms,
            "events_behind": lag and lag.events,
            "bytes_behind": lag and lag.bytes,
            "oldest_ms": lag and lag.since_ms,
            "next": status.next,
            "error": status.error,
        },
        (status.sink, log, _state(status), *behind, status.next or "?", status.error),
    )


def _state(status: Status) -> str:
    if status.since_ms is None:
        return status.state
    milliseconds = max(now_ms() - status.since_ms, 0)  # the clock may have been set back since
    return f"{status.state} {timedelta(seconds=milliseconds // 1000)}"
