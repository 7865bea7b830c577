"""The audit: goes through each log once, and compares every event with every sink.

Events that are older than the log are compared by the names of files alone, or by their contents if that is wanted.
"""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, NamedTuple

from collector.dead_letters.ledger import ledger_faults
from collector.ops.audit.balance import Claim, Fates, fates, passed
from collector.ops.audit.held_events import HeldEvents
from collector.ops.audit.log_events import LogEvents, Span
from collector.ops.audit.ranges import MAX, Range, by_place, coverage, overlap
from collector.ops.audit.report import AuditedLog, AuditedSink, Books, RejectedEvents, Report
from collector.ops.audit.snapshot import SinkState, Snapshot, own_files, take_snapshot
from collector.settings import Settings
from collector.settings.sinks import SinkSettings
from collector.shards.copies import copies_in
from collector.ship.partition import DeliveredFile
from wal.damage import read_ledger
from wal.files import Files
from wal.folder import UNLISTED, LogFolder, find_logs, unlisted_below
from wal.tools.select import Selection

_WINDOW: Final = 1 << 16
"""Sequences that are compared at once where the log does not have them any more."""
_DEAD_LETTERS: Final = "dead letters"
_SHOWN_NAMES: Final = 3


class AuditRequest(NamedTuple):
    """The scope of an audit. `selection` bounds the time of commit; `is_deep` also reads files older than the log."""

    sinks: list[SinkSettings]
    selection: Selection = Selection()
    is_deep: bool = False


class _SinkLog(NamedTuple):
    """A sink in one log; `held` is None if its cursor alone can be read."""

    name: str
    log_id: str
    claim: Claim
    files: list[DeliveredFile]
    held: HeldEvents | None


async def audit(settings: Settings, request: AuditRequest, on_progress: Callable[[int], None]) -> Report:
    """Audit all logs. `on_progress` gets the number of events read so far.

    Raises FileNotFoundError if there is no log, WalError, OSError, BadSettings.
    """
    report, books = Report(), Books()
    on_problem, selection = report.problems.append, request.selection
    folders = find_logs(Files(), settings.log.dir)
    for path, other in copies_in(Files(), [folder.path for folder in folders]).items():
        on_problem(f"{path} has the same id as {other}: one of the two is a copy; move it out of this folder")
    logs = [LogEvents(folder, selection, on_problem) for folder in folders]
    dead_letters = settings.dead_letters.dir
    snapshot = await take_snapshot(folders, request.sinks, dead_letters, selection, on_problem)
    for log in logs:
        log.fix_end()
    events = 0
    for folder, log in zip(folders, logs, strict=True):
        sinks = [_sink_log(snapshot, sink, folder, on_problem) for sink in snapshot.sinks]
        if not selection.since_ms:
            await _compare_older(books, folder, log, sinks, is_deep=request.is_deep)
        for span in log.spans():
            await _compare(books, sinks, span)
            events += span.range.events
            on_progress(events)
            await asyncio.sleep(0)  # Ctrl-C is noticed here
        await _compare_newer(books, sinks, log)
        report.logs.append(AuditedLog(folder.log_id.decode(), folder.path, log.first, log.next - 1))
        report.notes += _notes_on_log(folder, log)
    report.problems += ledger_faults(settings.log.dir)
    report.problems += [f"{path}: {UNLISTED}" for path in unlisted_below(Files(), settings.log.dir)]
    _conclude(report, books, snapshot)
    return report


def _sink_log(snapshot: Snapshot, sink: SinkState, folder: LogFolder, on_problem: Callable[[str], None]) -> _SinkLog:
    log_id = folder.log_id.decode()
    files = own_files(sink, log_id)
    say = partial(_say, on_problem, sink.settings.name)
    held = HeldEvents(sink.holdings, files, say) if sink.holdings else None
    return _SinkLog(sink.settings.name, log_id, snapshot.claim(sink, log_id), files, held)


def _say(on_problem: Callable[[str], None], sink: str, text: str) -> None:
    on_problem(f"sink {sink}: {text}")


async def _compare(books: Books, sinks: list[_SinkLog], span: Span) -> None:
    for sink in sinks:
        if sink.held is None:
            held = passed(span.range, sink.claim, span.damaged)
        else:
            held = await sink.held.within(span.range, span.relayed)
        found = fates(span.range, sink.claim, held, span.damaged)
        books.add(sink.name, span, found)
        _differ(books, sink, found, is_gone=span.is_gone)


def _differ(books: Books, sink: _SinkLog, found: Fates, *, is_gone: bool) -> None:
    """Enter the differences, with the files around them."""
    named = sink.held.named_places() if sink.held and found.missing else []
    books.differ(sink.name, sink.log_id, "missing", by_place(found.missing, named))
    if found.twice and sink.held:
        places = [*sink.held.places(), (_DEAD_LETTERS, sink.claim.dead)]
        books.differ(sink.name, sink.log_id, "twice", by_place(found.twice, places))
    if is_gone:
        books.differ(sink.name, sink.log_id, "gone", by_place(found.pending, []))


async def _compare_newer(books: Books, sinks: list[_SinkLog], log: LogEvents) -> None:
    """Find events in files that are after the end of the log, as after a restore from a backup."""
    for sink in sinks:
        if sink.held and (found := coverage(await sink.held.within(Range(log.next, MAX), {}))[0]):
            books.differ(sink.name, sink.log_id, "unknown", by_place(found, sink.held.places()))


async def _compare_older(
    books: Books, folder: LogFolder, log: LogEvents, sinks: list[_SinkLog], *, is_deep: bool
) -> None:
    """Compare the events that sinks had before the oldest segment, from the first that they have or should get."""
    lost = [Range(entry.start.sequence, entry.end.sequence - 1) for entry in read_ledger(folder).entries if entry.lost]
    damaged = coverage(lost)[0]
    for sink in sinks:
        files = [file for file in sink.files if file.first < log.first]
        firsts = [file.first for file in files] + ([sink.claim.settled] if sink.claim.settled else [])
        if not firsts or min(firsts) >= log.first:
            continue
        span = Range(min(firsts), log.first - 1)
        claim = sink.claim._replace(begin=0)
        named = overlap(coverage(Range(file.first, file.last) for file in files)[0], [span])
        held = passed(span, claim, damaged) if sink.held is None else named
        _differ(books, sink, fates(span, claim, held, damaged), is_gone=True)
        if not is_deep:
            _differ_by_name(books, sink, files, span)
        elif sink.held:
            for window in _windows(named):
                found = fates(window, claim, await sink.held.within(window, {}), damaged)
                if not sink.held.has_relayed:  # their sequences went with the log: their names were compared above
                    _differ(books, sink, found, is_gone=True)


def _differ_by_name(books: Books, sink: _SinkLog, files: list[DeliveredFile], span: Range) -> None:
    """Enter files of one folder whose names overlap: a folder has at most one file of a batch."""
    folders: dict[str, list[DeliveredFile]] = {}
    for file in files:
        folders.setdefault(file.name.rpartition("/")[0], []).append(file)
    for there in folders.values():
        twice = overlap(coverage(Range(file.first, file.last) for file in there)[1], [span])
        if twice:
            places = [(file.name, [Range(file.first, file.last)]) for file in there]
            books.differ(sink.name, sink.log_id, "twice", by_place(twice, places))


def _windows(ranges: list[Range]) -> Iterator[Range]:
    for span in ranges:
        for first in range(span.first, span.last + 1, _WINDOW):
            yield Range(first, min(first + _WINDOW - 1, span.last))


def _notes_on_log(folder: LogFolder, log: LogEvents) -> Iterator[str]:
    for span in log.dropped:
        yield f"{folder.path}: retention dropped events {span.first} to {span.last} while the audit ran: not compared"


def _conclude(report: Report, books: Books, snapshot: Snapshot) -> None:
    report.accounts, report.differences = books.accounts(), books.differences()
    report.rejected = [RejectedEvents(*key, events) for key, events in sorted(snapshot.refused.rejected.items())]
    report.is_balanced = not report.differences and not report.problems
    log_ids = {log.log_id for log in report.logs}
    for sink in snapshot.sinks:
        report.sinks.append(_audited(sink, log_ids))
        if sink.other_names:
            shown = ", ".join(sorted(sink.other_names)[:_SHOWN_NAMES])
            report.notes.append(f"sink {sink.settings.name}: {len(sink.other_names)} other files, as {shown}: not read")
    if snapshot.refused.unnamed:
        report.notes.append(f"{snapshot.refused.unnamed} dead letters of sinks are of no event with an id: not counted")


def _audited(sink: SinkState, log_ids: set[str]) -> AuditedSink:
    if sink.holdings is None:
        return AuditedSink(sink.settings.name, "cursor")
    here = [file for file in sink.files if file.log_id in log_ids]
    replayed = [file for file in here if file.replay]
    return AuditedSink(
        sink.settings.name,
        "contents",
        sink.holdings.where,
        files=len(here) - len(replayed),
        replayed_files=len(replayed),
        other_logs_files=len(sink.files) - len(here),
        other_names=len(sink.other_names),
    )
