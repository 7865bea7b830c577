"""`collector redrive`: dead letters through today's rules, each at most once, also when it is killed on the way.

What passes is written to a log of its own, `redrive` beside the shards, which a running collector ships like any shard
that no worker holds. Before each block the ledger, a log too, says which letters it is of and where it will stand: on
the next run the place tells whether it was written.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from collector.dead_letters.ledger import LEDGER, REDRIVE_LOG, RedrivePlan, done_letters, redriven_letters
from collector.dead_letters.letter_selection import LetterSelection
from collector.dead_letters.reader import DeadLetter
from collector.dead_letters.rules import context_of, decoded, events_by_name, redirect_refusal
from collector.errors import Refusal, Rejected, TooLarge
from collector.ingest.event import Event
from collector.ingest.fields.event_id import identify
from collector.ingest.policy.properties import Property, Registry
from collector.ingest.policy.redirect import Signer
from collector.ingest.record import RequestContext, members_of, record_line
from collector.ingest.session import Sessions
from collector.ingest.visitor import next_session
from collector.settings import Settings
from collector.settings.secret import load_secret
from collector.shards.shard import open_log
from wal.errors import LogLocked
from wal.format import MAX_BLOCK_BYTES
from wal.log import Log

_BLOCK_BYTES: Final = 1 << 20
_ENVELOPE_BYTES: Final = 1024
"""More than an envelope has beside the event, the user agent and the referer."""
_LOCK_SECONDS: Final = 240.0
"""A worker that ships this log to a sink that hangs leaves it after two attempts of up to 60 s, or, where it waits for
another sink too, after a pause of 30 s and an attempt more. Then the log is free for at least 5 s."""
_LOCK_POLL_SECONDS: Final = 0.2
_PROGRESS_LETTERS: Final = 256
"""Letters between two calls of `on_progress`, if none passes."""


class RedriveReport(Struct):
    """The number of letters by outcome, and the reasons of those that are still refused.

    A letter of a batch counts by its events, each of which passes or not for itself. An event that a sink refused is in
    the log already; `collector replay` sends it to that sink again.
    """

    letters: int = 0
    """All letters that were read."""
    redriven: int = 0
    events: int = 0
    """In those that are redriven."""
    earlier: int = 0
    earlier_events: int = 0
    """In those that an earlier run has redriven."""
    unknown: int = 0
    of_sinks: int = 0
    refused: Counter[str] = msgspec.field(default_factory=Counter)


class _Passed(Struct):
    """Events of a letter that pass today's rules: its only one, all of them, or one of a batch."""

    id: str
    context: RequestContext
    events: list[tuple[Event, bytes]]
    length: int


OnProgress = Callable[[RedriveReport], None]
"""Called after each block, and now and then between two of them."""


def redrive(settings: Settings, letters: LetterSelection, on_progress: OnProgress) -> RedriveReport:
    """Run the selected dead letters through today's rules, and store what passes.

    Raises LogLocked while another redrive runs, LogFull, Broken, OSError, BadSettings.
    """
    report = RedriveReport()
    sessions = Sessions(load_secret(settings), settings.session.timeout_seconds)
    log = _opened(settings)
    try:
        ledger = Log(log.folder.file(LEDGER))
        try:
            done = done_letters(log.folder, ledger.folder)
            for block in _blocks(settings, letters, done, report, on_progress):
                _write(log, ledger, sessions, block)
                _count(report, block)
                on_progress(report)
        finally:
            ledger.close()
    finally:
        log.close()
    return report


def preview(settings: Settings, letters: LetterSelection, on_progress: OnProgress) -> RedriveReport:
    """The report that `redrive` would return, without storing anything. Raises Broken, OSError, BadSettings."""
    report = RedriveReport()
    for block in _blocks(settings, letters, redriven_letters(settings.log.dir), report, on_progress):
        _count(report, block)
    return report


def _count(report: RedriveReport, block: list[_Passed]) -> None:
    report.redriven += len(block)
    report.events += sum(len(passed.events) for passed in block)


def _opened(settings: Settings) -> Log:
    """The log of redriven events; waits a while for a collector that ships the events of an earlier run."""
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            return open_log(settings, os.path.join(settings.log.dir, REDRIVE_LOG))
        except LogLocked:
            if time.monotonic() > deadline:
                raise
        time.sleep(_LOCK_POLL_SECONDS)


def _blocks(
    settings: Settings, letters: LetterSelection, done: set[str], report: RedriveReport, on_progress: OnProgress
) -> Iterator[list[_Passed]]:
    """The letters that pass, in blocks of about a MiB; the others are counted."""
    registry = Registry(replace(prop, write_keys=()) for prop in settings.property)  # the senders had a key
    signer = Signer(load_secret(settings))
    block: list[_Passed] = []
    for dead_letter in letters.read(settings.dead_letters.dir):
        report.letters += 1
        if report.letters % _PROGRESS_LETTERS == 0:
            on_progress(report)
        prop = registry.get(dead_letter.record.portal_id, dead_letter.record.prop_id)
        if prop and dead_letter.record.dialect:
            prop = registry.for_dialects(prop.public_id)
        if dead_letter.record.sink:
            report.of_sinks += 1
        elif prop is None:
            report.unknown += 1
        else:
            for passed in _passed(settings, dead_letter, prop, signer, done, report):
                if block and sum(earlier.length for earlier in block) + passed.length > _BLOCK_BYTES:
                    yield block
                    block = []
                block.append(passed)
    if block:
        yield block


def _passed(
    settings: Settings, dead_letter: DeadLetter, prop: Property, signer: Signer, done: set[str], report: RedriveReport
) -> Iterator[_Passed]:
    """The events of a letter that pass today's rules and that no earlier run stored. Refused ones are counted."""
    limits, context = settings.limits, context_of(dead_letter, prop)
    try:
        bodies = events_by_name(dead_letter, limits)
    except Rejected as error:
        report.refused[_text(error.refusal)] += 1
        return
    for name, events in bodies.items():
        if name in done:
            report.earlier += 1
            report.earlier_events += len(events)
            continue
        try:
            passing = [decoded(event, prop, limits) for event in events]
            if (refusal := redirect_refusal(dead_letter, prop, signer, passing)) is not None:
                raise Rejected.of(refusal)
            around = _ENVELOPE_BYTES + len(context.user_agent or "") * 2 + len(context.referer or "") * 2
            length = sum(len(line) + around for _, line in passing)
            if length > MAX_BLOCK_BYTES:
                raise TooLarge("the events are too large together")
        except Rejected as error:
            report.refused[_text(error.refusal)] += 1
        else:
            yield _Passed(name, context, passing, length)


def _text(refusal: Refusal) -> str:
    fields = ", ".join(f"{fault.field}: {fault.message}" for fault in refusal.faults)
    return f"{refusal.message} ({fields})" if fields else refusal.message


def _write(log: Log, ledger: Log, sessions: Sessions, block: list[_Passed]) -> None:
    first = log.end.sequence
    plan = RedrivePlan(log.log_id.decode(), first, [passed.id for passed in block])
    ledger.commit(msgspec.json.encode(plan) + b"\n", 1)
    records: list[bytes] = []
    for passed in block:
        members = members_of(passed.context)
        for event, line in passed.events:
            session = next_session(
                sessions, passed.context.prop.portal_id, event, None, passed.context.received_ms // 1000
            )
            identify(event, "")
            records.append(record_line(log.log_id, first + len(records), passed.context, members, session, event, line))
    log.commit(b"".join(records), len(records))
