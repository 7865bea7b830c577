"""Batches: events to records, the append of all records, and the response with the verdicts."""

import time
from collections.abc import Generator
from typing import Final

from msgspec import UNSET

from collector.dead_letters.writer import Form, Refused
from collector.errors import BadEvent, TooLarge
from collector.http.response import Response
from collector.ingest.accounts.accounts import Accounts
from collector.ingest.accounts.rejects import SCRUB_WORK, TOO_MANY, Rejects
from collector.ingest.bodies.splitting import Events
from collector.ingest.event import decode_event
from collector.ingest.fields.event_id import identify
from collector.ingest.fields.lost_events import count_of
from collector.ingest.options import ResponseType
from collector.ingest.policy.cookies import set_cookie
from collector.ingest.policy.dedup import Dedup
from collector.ingest.policy.privacy import scrub
from collector.ingest.policy.rate_limit import check_rate
from collector.ingest.record import fitted, record_line, renumbered, room_for_headers, shared_members_of
from collector.ingest.request import EventRequest
from collector.ingest.responses import Verdicts, batch_response, stored_headers
from collector.ingest.session import Session, Sessions
from collector.ingest.storing.outcome import AllRefused, EventBatch, StoredBatch
from collector.ingest.visitor import next_session
from collector.long_work import SLICE_BYTES, SLICE_SECONDS
from collector.settings import Limits
from wal.committer import Committer
from wal.errors import RecordTooLarge

_JSON: Final = ResponseType.JSON
_EVENT_WORK: Final = 512
"""Overhead of an event, as the number of bytes that cost the same work."""


class Batches:
    """Stores batches. A bad event does not affect the others, which are appended together."""

    def __init__(
        self,
        committer: Committer,
        dedup: Dedup,
        rejects: Rejects,
        accounts: Accounts,
        sessions: Sessions,
        limits: Limits,
    ) -> None:
        self._dedup = dedup
        self._committer = committer
        self._accounts = accounts
        self._rejects = rejects
        self._sessions = sessions
        self._limits = limits

    def steps(
        self, request: EventRequest, events: Events, form: Form
    ) -> Generator[None, None, EventBatch | AllRefused]:
        """Make the records; yields when other requests may run."""
        self._accounts.split(request, len(events.events))
        fault = request.options.fault
        if fault is not None:
            refused = [Refused(fault, raw, index) for index, raw in enumerate(events.events)]
            return AllRefused(form, fault, refused)
        return (yield from self.records(request, events, form))

    def records(self, request: EventRequest, events: Events, form: Form) -> Generator[None, None, EventBatch]:
        """As `steps`, for a request without a fault whose events are counted."""
        # local variables: attribute look-ups for every event would cost 0.2 us
        context, token, limits, sessions = request.context, request.token, self._limits, self._sessions
        prop, now, are_lines = context.prop, context.received_ms // 1000, events.are_lines
        portal_id, required, is_scrubbed = prop.portal_id, prop.required, prop.is_scrubbed
        known = session = sessions.read(portal_id, token) if token else None
        last, lost = dict[int, Session](), dict[int, int]()
        records, keys, refused = list[bytes](), list[bytes](), list[Refused]()
        log_id, first = self._committer.log.log_id, self._committer.next_sequence
        members = shared_members_of(context, room_for_headers(context, len(events.events)))
        own_members, key, is_longer = events.members, request.key, False
        has_keys, key_of, is_over = prop.dedup_ms > 0, self._dedup.key_of, self._rejects.is_over(request)
        work, begun = 0, time.perf_counter()
        slice_bytes = SLICE_BYTES // SCRUB_WORK if is_scrubbed else SLICE_BYTES
        for index, raw in enumerate(events.events):
            work += len(raw) + _EVENT_WORK
            if work > slice_bytes:
                work = 0
                if time.perf_counter() - begun > SLICE_SECONDS:
                    yield
                    begun = time.perf_counter()
            try:
                event, line = decode_event(raw, required, limits, is_line=are_lines, is_explained=not is_over)
            except (BadEvent, TooLarge) as error:
                # above their rate, refused events leave no dead letter: do not hold their bytes
                refused.append(Refused(TOO_MANY, b"", index) if is_over else Refused(error.refusal, raw, index))
                continue
            if is_scrubbed:
                line = scrub(line, prop.ip, keeps_user_agent=prop.has_user_agent)
            if key or event.event_id is not UNSET or event.et is not UNSET or event.lost is not UNSET:
                identify(event, f"{key}-{index}" if key else "")
                is_longer = True
                if event.lost is not UNSET:
                    lost[len(records)] = count_of(event.lost)
            if has_keys:
                keys.append(b"" if event.event_id is UNSET else key_of(prop, event.event_id))
            session = next_session(sessions, portal_id, event, known, now, last)
            last[session.au_id] = session
            around = members if own_members is None else own_members[index]
            records.append(record_line(log_id, first + len(records), context, around, session, event, line))
        if is_longer and own_members is None:
            sent = sum(map(len, events.events)) - sum(len(event.raw) for event in refused)
            records = fitted(records, sent, context, members)
        return EventBatch(form, records, first, session, refused, keys, lost)

    def store(self, request: EventRequest, batch: EventBatch, *, is_rated: bool = False) -> StoredBatch:
        """Append all new records, without waiting for the disk. Raises Rejected, Overloaded, WalError; then none.

        `is_rated`: the rate of the property is checked already.
        """
        records, first, rate, committer = batch.records, batch.first, request.context.prop.rate, self._committer
        if not records or not request.is_stored:
            return StoredBatch(None, first, len(records), {})
        if rate and not is_rated:
            check_rate(rate, len(records), time.monotonic())
        if committer.next_sequence != first:  # other requests have appended between two slices
            first = committer.next_sequence
            records = [renumbered(record, committer.log.log_id, at) for at, record in enumerate(records, first)]
        try:
            stored = self._append(request, batch, records, first)
        except RecordTooLarge:
            raise TooLarge("the events of the batch are too large together; send smaller batches") from None
        if stored.durable is not None:
            request.lost = sum(number for at, number in batch.lost.items() if at not in stored.duplicates)
            self._accounts.append(request, stored.events, stored.durable)
        if rate:
            rate.take(stored.events)
        return stored

    def _append(self, request: EventRequest, batch: EventBatch, records: list[bytes], first: int) -> StoredBatch:
        context = request.context
        if not any(batch.keys):
            return StoredBatch(self._committer.append(b"".join(records), len(records)), first, len(records), {})
        windows = [context.prop.dedup_ms] * len(records)
        appended = self._dedup.append(records, batch.keys, windows, context.received_ms, is_part=request.share > 1)
        return StoredBatch(*appended[:2], len(records) - len(appended.duplicates), appended.duplicates)

    def response(self, request: EventRequest, batch: EventBatch, stored: StoredBatch) -> Response:
        """The verdicts of a batch that is stored."""
        name = self._committer.log.log_id.decode()
        ids = [f"{name}-{sequence}" for sequence in range(stored.first, stored.first + stored.events)]
        rejected = [(event.batch_index or 0, event.refusal) for event in batch.refused]
        prop, session = request.context.prop, batch.session
        token = self._sessions.token(prop.portal_id, session) if session else b""
        headers = request.headers
        if batch.records and request.is_stored:
            # the sink was asked for the new events alone
            headers += stored_headers(None, is_shipped=prop.ack is not None and not stored.duplicates)
            if request.with_cookie:
                headers += set_cookie(token, prop.portal_id, is_https=request.is_https)
        options = request.options
        response_type = options.response_type if options.has_type else _JSON
        return batch_response(response_type, Verdicts(ids, rejected, _indexes(batch, stored), token), headers)


def _indexes(batch: EventBatch, stored: StoredBatch) -> list[int]:
    """The indexes in the batch of the events that were not stored again."""
    if not stored.duplicates:
        return []
    refused = {event.batch_index for event in batch.refused}
    indexes = [at for at in range(len(batch.records) + len(refused)) if at not in refused]
    return [indexes[at] for at in stored.duplicates]
