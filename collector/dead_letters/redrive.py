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

from collector.dead_letters.reader import DeadLetter, read_letters
from collector.dead_letters.writer import Form
from collector.errors import BadRedirect, BadTarget, NotAClick, Refusal, Rejected, TooLarge
from collector.ingest.client import kept_address
from collector.ingest.decode import Event, batch_in, decode_event
from collector.ingest.envelope import Visit, envelope, members_of
from collector.ingest.privacy import scrub
from collector.ingest.query import event_of, parse_pairs
from collector.ingest.redirect import Signer
from collector.ingest.session import Sessions
from collector.ingest.target import Face, redirect_fault
from collector.ingest.visitor import next_session
from collector.registry import Property, Registry
from collector.settings import Limits, Settings
from collector.settings.secret import load_secret
from collector.shards.shard import open_log
from wal.damage import Damage
from wal.errors import Broken, LogLocked
from wal.format import MAX_BLOCK_BYTES
from wal.log import Log
from wal.reader import Reader, oldest, read_all
from wal.select import Selection

_NAME: Final = "redrive"
_LEDGER: Final = "ledger"
_BLOCK_BYTES: Final = 1 << 20
_ENVELOPE_BYTES: Final = 1024
"""More than an envelope has beside the event, the user agent and the referer."""
_REDIRECT_CODES: Final = frozenset((BadRedirect.code, NotAClick.code))
_LOCK_SECONDS: Final = 240.0
"""A worker that ships this log to a sink that hangs leaves it after two attempts of up to 60 s, or, where it waits for
another sink too, after a pause of 30 s and an attempt more. Then the log is free for at least 5 s."""
_LOCK_POLL_SECONDS: Final = 0.2


class RedriveReport(Struct):
    """What became of the letters: how many in each of these, and why some are still refused.

    A letter of a batch counts by its events, each of which passes or not for itself. What a sink refused is in the log
    already; `collector replay` sends it to that sink again.
    """

    letters: int = 0
    """All that were looked at."""
    redriven: int = 0
    events: int = 0
    earlier: int = 0
    unknown: int = 0
    of_sinks: int = 0
    refused: Counter[str] = msgspec.field(default_factory=Counter)


class _Plan(Struct):
    """A line of the ledger: these letters, or events of letters, stand in the log of this id from this sequence on."""

    log_id: str
    sequence: int
    letters: list[str]


class _Passed(Struct):
    """What today's rules let through of a letter: the one event of it, all of them, or one of those of a batch."""

    id: str
    visit: Visit
    events: list[tuple[Event, bytes]]
    length: int


def redrive(settings: Settings, selection: Selection, on_progress: Callable[[RedriveReport], None]) -> RedriveReport:
    """Run the selected dead letters through today's rules; `on_progress` is called after each block.

    Raises LogLocked while another redrive runs, LogFull, Broken, OSError, BadSettings.
    """
    report = RedriveReport()
    sessions = Sessions(load_secret(settings), settings.session.timeout_seconds)
    log = _opened(settings)
    try:
        ledger = Log(os.path.join(log.directory, _LEDGER))
        try:
            done = _done(log, ledger)
            for block in _blocks(settings, selection, done, report):
                _write(log, ledger, sessions, block)
                report.redriven += len(block)
                report.events += sum(len(each.events) for each in block)
                on_progress(report)
        finally:
            ledger.close()
    finally:
        log.close()
    return report


def _opened(settings: Settings) -> Log:
    """The log of redriven events; waits a while for a collector that ships what an earlier run left."""
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            return open_log(settings, os.path.join(settings.log.dir, _NAME))
        except LogLocked:
            if time.monotonic() > deadline:
                raise
        time.sleep(_LOCK_POLL_SECONDS)


def _done(log: Log, ledger: Log) -> set[str]:
    """The letters that are in the log: of two plans for one place, the earlier was never carried out."""
    plans = {(plan.log_id, plan.sequence): plan.letters for plan in _plans(ledger)}
    return {
        letter
        for (log_id, sequence), letters in plans.items()
        if log_id != log.log_id.decode() or sequence < log.end.sequence
        for letter in letters
    }


def _plans(ledger: Log) -> Iterator[_Plan]:
    start = oldest(ledger.files, ledger.directory)
    if start is None:
        return
    decode = msgspec.json.Decoder(_Plan).decode
    reader = Reader(ledger.files, ledger.directory, ledger.log_id, start)
    try:
        for step in read_all(reader, ledger.end):
            if isinstance(step, Damage):
                raise Broken(ledger.directory, step.start.offset, "which letters were redriven", "damage")
            yield from map(decode, step.payload.splitlines())
    finally:
        reader.close()


def _blocks(settings: Settings, selection: Selection, done: set[str], report: RedriveReport) -> Iterator[list[_Passed]]:
    """What passes, in handfuls of about a MiB; the rest is counted."""
    registry = Registry(replace(each, write_keys=()) for each in settings.property)  # who sent them had a key
    signer = Signer(load_secret(settings))
    block: list[_Passed] = []
    for dead_letter in read_letters(settings.dead_letters.dir, selection):
        report.letters += 1
        prop = registry.get(dead_letter.record.portal_id, dead_letter.record.prop_id)
        if dead_letter.record.sink:
            report.of_sinks += 1
        elif prop is None:
            report.unknown += 1
        else:
            for passed in _passed(settings, dead_letter, prop, signer, done, report):
                if block and sum(each.length for each in block) + passed.length > _BLOCK_BYTES:
                    yield block
                    block = []
                block.append(passed)
    if block:
        yield block


def _passed(
    settings: Settings, dead_letter: DeadLetter, prop: Property, signer: Signer, done: set[str], report: RedriveReport
) -> Iterator[_Passed]:
    """What today's rules let through of a letter, and no earlier run did. What they refuse is counted."""
    limits, visit = settings.limits, _visit(dead_letter, prop)
    try:
        bodies = _bodies(dead_letter, limits)
    except Rejected as error:
        report.refused[_text(error.refusal)] += 1
        return
    for name, events in bodies.items():
        if name in done:
            report.earlier += 1
            continue
        try:
            decoded = [_decoded(event, prop, limits) for event in events]
            if (refusal := _redirect_refusal(dead_letter, prop, signer, decoded)) is not None:
                raise Rejected.of(refusal)
            around = _ENVELOPE_BYTES + len(visit.user_agent or "") * 2 + len(visit.referer or "") * 2
            length = sum(len(line) + around for _, line in decoded)
            if length > MAX_BLOCK_BYTES:
                raise TooLarge("the events are too large together")
        except Rejected as error:
            report.refused[_text(error.refusal)] += 1
        else:
            yield _Passed(name, visit, decoded, length)


def _decoded(body: bytes, prop: Property, limits: Limits) -> tuple[Event, bytes]:
    """An event, and its bytes as the property lets them be stored today. Raises Rejected."""
    event, line = decode_event(body, prop.required, limits)
    return event, scrub(line, prop.ip, keeps_user_agent=prop.has_user_agent)


def _redirect_refusal(
    dead_letter: DeadLetter, prop: Property, signer: Signer, events: list[tuple[Event, bytes]]
) -> Refusal | None:
    """Why today's redirect rules refuse a letter; None if they don't.

    Of a body the letter has no query, and so not where the click was to lead: it stays refused. Where another rule
    refused a query, its target was allowed then, perhaps by a signature, which the letter does not have.
    """
    letter = dead_letter.record
    is_of_redirect_rule = letter.code in _REDIRECT_CODES
    if letter.form is not Form.QUERY:
        return Refusal(letter.code, letter.reason, letter.errors) if is_of_redirect_rule else None
    pairs = parse_pairs(dead_letter.body)
    is_click = len(events) == 1 and "click" in (events[0][0].ea, events[0][0].ec)
    if is_of_redirect_rule:
        return redirect_fault(pairs, prop, signer, letter.received_at // 1000, is_click=is_click)
    if pairs.values.get("resp_type") == Face.REDIRECT.value and not is_click:
        return NotAClick("a redirect needs a click event: ea or ec must be click").refusal
    return None


def _bodies(dead_letter: DeadLetter, limits: Limits) -> dict[str, list[bytes]]:
    """The events of a letter by the name that each has in the ledger: those of a batch pass or not one by one.

    Raises Rejected.
    """
    letter = dead_letter.record
    body = _event_in(dead_letter.body) if letter.form in (Form.QUERY, Form.FORM) else dead_letter.body
    batch = batch_in(body, limits.batch_events, is_ndjson=letter.form is Form.NDJSON)
    if batch is None or not letter.refusals:
        return {letter.id: [body] if batch is None else batch.events}
    return {f"{letter.id}/{at}": [event] for at, event in enumerate(batch.events)}


def _event_in(query: bytes) -> bytes:
    """The event in a query or a form. Raises BadTarget where not all of it would be read."""
    pairs = parse_pairs(query)
    if pairs.is_cut:
        raise BadTarget("the query or the form has too many parameters")
    return event_of(pairs)


def _text(refusal: Refusal) -> str:
    fields = ", ".join(f"{fault.field}: {fault.message}" for fault in refusal.faults)
    return f"{refusal.message} ({fields})" if fields else refusal.message


def _visit(dead_letter: DeadLetter, prop: Property) -> Visit:
    letter = dead_letter.record
    return Visit(
        prop=prop,
        received_ms=letter.received_at,
        ip=kept_address(letter.ip, prop.ip),
        user_agent=letter.user_agent if prop.has_user_agent else None,
        referer=letter.referer,
        is_s2s=letter.s2s,
        warnings=[f"redriven from dead letter {letter.id}"],
    )


def _write(log: Log, ledger: Log, sessions: Sessions, block: list[_Passed]) -> None:
    first = log.end.sequence
    plan = _Plan(log.log_id.decode(), first, [each.id for each in block])
    ledger.commit(msgspec.json.encode(plan) + b"\n", 1)
    records: list[bytes] = []
    for passed in block:
        members = members_of(passed.visit)
        for event, line in passed.events:
            session = next_session(sessions, passed.visit.prop.portal_id, event, None, passed.visit.received_ms // 1000)
            records.append(envelope(log.log_id, first + len(records), passed.visit, members, session, line))
    log.commit(b"".join(records), len(records))
