"""`collector audit`."""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from collector.cli.progress import progress
from collector.errors import BadSettings
from collector.ops.audit.audit import AuditRequest, audit
from collector.ops.audit.ranges import Range
from collector.ops.audit.report import Account, AuditedLog, AuditedSink, Difference, Report
from collector.settings import load_settings
from collector.ship.replay import sink_named
from wal.errors import WalError
from wal.tools.arguments import add_json, add_times, expect_times
from wal.tools.select import Selection
from wal.tools.tables import Column, Row, print_rows
from wal.tools.terminal import harmless, prepare_stdout

_WRONG_CALL: Final = 2
_SHOWN_RANGES: Final = 100
_COLUMNS: Final = ("stored", "delivered", "pending", "dead_lettered", "damaged", "not_due", "missing", "twice")
_NUMBERS: Final = frozenset((*(name.replace("_", " ") for name in _COLUMNS), "from event", "to", "events"))
_MEANINGS: Final = {
    "missing": "the cursor has passed them, and they are nowhere",
    "twice": "in more than one place",
    "unknown": "in a file, and not in the log",
    "gone": "lost from the log before they were delivered",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the bounds of the audit, and the form of the output."""
    parser.epilog = (
        "--json prints one object: is_balanced, accounts (by property and sink), differences (ranges of sequences,\n"
        "and files to look at), problems, notes, logs, sinks, rejected.\n"
        "exit code 1: it does not balance; 2: it can't run\n\nexample: collector audit --since 24h --sink warehouse"
    )
    parser.add_argument("--sink", metavar="NAME", help="only this sink")
    add_times(parser)
    parser.add_argument("--deep", action="store_true", help="read also the files that are older than the log")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Compare the log with its sinks. Exit code 0 if it balances, 1 if not, 2 if that can't be found out."""
    expect_times(options, options.since, options.until)
    try:
        settings = load_settings(options.config)
        sinks = [sink_named(settings, options.sink)] if options.sink else list(settings.sink)
        request = AuditRequest(sinks, Selection(options.since, options.until), options.deep)
        with progress() as show:
            report = asyncio.run(audit(settings, request, lambda events: show(f"{events} events")))
    except (BadSettings, WalError, OSError) as error:
        for line in str(error).splitlines():
            print(harmless(f"collector: {line}"), file=sys.stderr)
        return _WRONG_CALL
    prepare_stdout()
    if options.json:
        print(json.dumps(msgspec.to_builtins(report)))  # a name of a file may not be UTF-8, which msgspec refuses
    else:
        _print(report)
    return 0 if report.is_balanced else 1


def _print(report: Report) -> None:
    _print_table(("log", "path", "from event", "to"), [_log_row(log) for log in report.logs])
    print()
    _print_table(("sink", "proved by", "of"), [_sink_row(sink) for sink in report.sinks])
    print()
    _print_table(
        ("property", "sink", *_headers(report)), [_account_row(report, account) for account in report.accounts]
    )
    if report.rejected:
        print()
        rows = [(f"{row.portal_id}/{row.prop_id}", row.code, str(row.events)) for row in report.rejected]
        _print_table(("property", "rejected with", "events"), rows)
    print()
    for text in (*map(_difference, report.differences), *report.problems):
        print(harmless(text))
    for note in report.notes:
        print(harmless(f"note: {note}"))
    print("balanced" if report.is_balanced else "NOT balanced")


def _print_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    columns = [Column(head, is_number=head in _NUMBERS) for head in heads]
    print_rows(columns, [Row({}, cells) for cells in rows], as_json=False)


def _log_row(log: AuditedLog) -> tuple[str, ...]:
    return (log.log_id, log.path, str(log.first), str(log.last))


def _sink_row(sink: AuditedSink) -> tuple[str, ...]:
    if sink.proof == "cursor":
        return (sink.name, "its cursor alone", "what it has was not read")
    counts = (
        (sink.replayed_files, "of replays, not counted"),
        (sink.other_logs_files, "of logs that are not here"),
    )
    also = "".join(f"; {count} {text}" for count, text in counts if count)
    return (sink.name, "reading its files", f"{sink.files} in {sink.where}{also}")


def _headers(report: Report) -> Iterator[str]:
    return (name.replace("_", " ") for name in _shown_columns(report))


def _shown_columns(report: Report) -> list[str]:
    """All columns, but one that hardly any sink has."""
    return [name for name in _COLUMNS if name != "not_due" or any(account.not_due for account in report.accounts)]


def _account_row(report: Report, account: Account) -> tuple[str, ...]:
    name = "unknown" if account.prop_id is None else f"{account.portal_id}/{account.prop_id}"
    return (name, account.sink, *[str(getattr(account, column)) for column in _shown_columns(report)])


def _difference(difference: Difference) -> str:
    ranges = ", ".join(map(_range, difference.ranges[:_SHOWN_RANGES]))
    more = len(difference.ranges) - _SHOWN_RANGES
    left_out = f" and {more} more ranges, which --json prints" if more > 0 else ""
    places = f"; see {', '.join(difference.places)}" if difference.places else ""
    return (
        f"{difference.kind}: sink {difference.sink}, log {difference.log_id}, {difference.events} events: "
        f"{ranges}{left_out}: {_MEANINGS[difference.kind]}{places}"
    )


def _range(span: Range) -> str:
    return str(span.first) if span.events == 1 else f"{span.first}-{span.last}"
