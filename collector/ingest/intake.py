"""From decoded events to durable records: sessions, envelopes, the log, and dead letters for what is refused."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

from collector.acknowledgements import Acknowledgements
from collector.dead_letters.writer import DeadLetters, Form, Refused
from collector.errors import BadEvent, NotAClick, TooFast, TooLarge, Unconfirmed
from collector.ingest.answer import Answer, batch_answer, event_answer, event_object, stored_headers
from collector.ingest.body import ClientGone
from collector.ingest.cookie import set_cookie
from collector.ingest.decode import Events, batch_in, decode_event
from collector.ingest.envelope import (
    MOST_AROUND,
    Visit,
    envelope,
    members_of,
    renumbered,
    room_for_headers,
    shared_members_of,
)
from collector.ingest.inflate import inflate
from collector.ingest.privacy import scrub
from collector.ingest.query import without_secrets
from collector.ingest.rate import Rate
from collector.ingest.rejects import SCRUB_WORK, TOO_MANY, Rejects
from collector.ingest.request import Request
from collector.ingest.session import Session, Sessions
from collector.ingest.target import Face
from collector.ingest.visitor import next_session
from collector.long_work import LARGE_BYTES, SLICE_BYTES, SLICE_SECONDS, LongWork
from collector.registry import Ack, Property
from collector.settings import Limits
from wal.committer import Committer
from wal.errors import RecordTooLarge

_AT_ONCE: Final = 4
"""Long bodies in work at a time."""
_EVENT_WORK: Final = 512
"""Bytes whose work an event costs beside its own."""
_QUERIES: Final = (Form.QUERY, Form.FORM)
_JSON: Final = Face.JSON
_JAVASCRIPT: Final = Face.JAVASCRIPT


class Stored(Struct, frozen=True):
    """An event on its way into the log."""

    durable: asyncio.Future[None] | None
    """Done once it is fsynced; None for the event of a HEAD request, which is not stored."""
    sequence: int
    event_id: bytes
    answer: Answer
    """To be sent then."""


class StoredBatch(Struct, frozen=True):
    """A batch on its way into the log: nothing of it but what is to be said of it then."""

    durable: asyncio.Future[None] | None
    """Done once its events are fsynced; None where none are stored."""
    first: int
    """The sequence of the first of them."""
    records: int
    session: Session | None
    """Of the last of them."""
    refused: list[Refused]
    """The events that failed validation."""


class Intake:
    """Takes events into the log, and what is wrong with them into the dead letters."""

    def __init__(
        self,
        *,
        committer: Committer,
        dead_letters: DeadLetters,
        sessions: Sessions,
        limits: Limits,
        confirmations: Mapping[str, Acknowledgements],
        clock: Callable[[], int],
    ) -> None:
        """`confirmations` are those of each sink, by name; `clock` gives Unix milliseconds."""
        self.clock = clock
        self._committer = committer
        self._rejects = Rejects(dead_letters)
        self._sessions = sessions
        self._limits = limits
        self._confirmations = confirmations
        self._long_work = LongWork(_AT_ONCE, limits.in_flight_bytes)

    @property
    def fullness(self) -> float:
        """How close the log is to its nearest limit, from 0 to 1."""
        return self._committer.fullness

    async def pause(self, request: Request) -> None:
        """Let others have their turn. Raises ClientGone where nobody waits for the answer any more."""
        await self._long_work.pause()
        if request.is_gone():
            raise ClientGone

    async def inflate(self, request: Request, body: bytes, encoding: bytes) -> bytes:
        """A form without its content encoding. Raises Rejected, Overloaded, ClientGone."""
        async with self._long_work.turn(len(body)):
            return await self._inflated(request, body, encoding)

    async def take_body(self, request: Request, body: bytes, encoding: bytes = b"", *, is_ndjson: bool) -> Answer:
        """Take the event, or the events, in a body. Raises Rejected, Overloaded, WalError, ClientGone."""
        if encoding or len(body) > SLICE_BYTES:
            async with self._long_work.turn(len(body)):
                stored = await self._begin_body(request, body, encoding, is_ndjson=is_ndjson)
        else:
            stored = await self._begin_body(request, body, encoding, is_ndjson=is_ndjson)
        # or the next batch would find neither memory nor caches that this one has done with (0.5 us an event)
        del body
        if isinstance(stored, Stored):
            return await self._answer_event(request, stored)
        return await self._answer_batch(request, stored, Form.NDJSON if is_ndjson else Form.JSON)

    async def take(self, request: Request, event: bytes, raw: bytes, form: Form) -> Answer:
        """Take one event, which came as `raw`. Raises Rejected, WalError."""
        return await self._answer_event(request, await self._begin_event(request, event, raw, form))

    async def _inflated(self, request: Request, body: bytes, encoding: bytes) -> bytes:
        limits = self._limits
        parts: list[bytes] = []
        length = 0
        try:
            for part in inflate(body, encoding.strip().lower(), limits.body_bytes, limits.inflation_ratio):
                parts.append(part)
                length += len(part)
                if length > SLICE_BYTES:
                    length = 0
                    await self.pause(request)
        except BadEvent as error:
            refusal = error.refusal
        else:
            return b"".join(parts)
        raise await self._rejects.rejected(request, Form.JSON, refusal, body)

    async def _begin_body(
        self, request: Request, body: bytes, encoding: bytes, *, is_ndjson: bool
    ) -> Stored | StoredBatch:
        """Append what a body holds, and do not wait for the disk."""
        form = Form.NDJSON if is_ndjson else Form.JSON
        if encoding:
            body = await self._inflated(request, body, encoding)
        if not is_ndjson and body[:1] == b"{":
            return await self._begin_event(request, body, body, form)
        if len(body) > LARGE_BYTES:
            await self.pause(request)
        try:
            batch = batch_in(body, self._limits.batch_events, is_ndjson=is_ndjson)
            if batch is not None and request.target.face is Face.REDIRECT:
                raise NotAClick("a redirect needs one click event, not a batch")
        except (BadEvent, NotAClick) as error:
            refusal = error.refusal
        else:
            if batch is None:
                return await self._begin_event(request, body, body, form)
            if len(body) > LARGE_BYTES:
                await self.pause(request)
            return await self._begin_batch(request, batch, form)
        raise await self._rejects.rejected(request, form, refusal, body)

    async def _begin_event(self, request: Request, event: bytes, raw: bytes, form: Form) -> Stored:
        """Append one event, if its property may send one more, and do not wait for the disk."""
        prop, refusal = request.visit.prop, request.target.fault
        if refusal is None:
            if prop.rate and request.is_stored:  # again: others have sent since the headers came
                _check_rate(prop.rate, 1)
            try:
                stored = self.begin(request, event, len(raw))
            except (BadEvent, NotAClick) as error:
                refusal = error.refusal
        if refusal is not None:
            kept = without_secrets(raw) if form in _QUERIES else raw
            raise await self._rejects.rejected(request, form, refusal, kept)
        if prop.rate and stored.durable is not None:
            prop.rate.take(1)
        return stored

    async def _answer_event(self, request: Request, stored: Stored) -> Answer:
        """The answer for an event, once it is stored. Raises WalError, Unconfirmed."""
        ack = request.visit.prop.ack
        if stored.durable is not None:
            await stored.durable
            if ack is not None:
                await self._wait_for(ack, stored.sequence, 1, stored.event_id)
        return stored.answer

    def begin(self, request: Request, event: bytes, sent: int) -> Stored:
        """Append one event, which came in so many bytes, to a target without fault, and do not wait for the disk.

        Raises Rejected, WalError: nothing is appended then.
        """
        target, visit, token, headers = request.target, request.visit, request.token, request.headers
        prop, sessions = visit.prop, self._sessions
        decoded, line = decode_event(event, prop.required, self._limits)
        if prop.is_scrubbed:
            line = scrub(line, prop.ip, keeps_user_agent=prop.has_user_agent)
        if target.face is Face.REDIRECT and "click" not in (decoded.ea, decoded.ec):
            raise NotAClick("a redirect needs a click event: ea or ec must be click")
        last = sessions.read(prop.portal_id, token) if token else None
        session = next_session(sessions, prop.portal_id, decoded, last, visit.received_ms // 1000)
        has_object = target.face is _JSON or target.face is _JAVASCRIPT
        token = sessions.token(prop.portal_id, session) if has_object or request.with_cookie else b""
        log_id, sequence = self._committer.log.log_id, self._committer.next_sequence
        event_id = b"%b-%d" % (log_id, sequence)
        if request.is_stored:
            headers += stored_headers(event_id, is_shipped=prop.ack is not None)
            if request.with_cookie:
                headers += set_cookie(token, prop.portal_id, is_https=request.is_https)
        body = b""
        if has_object:
            aid = str(decoded.aid) if type(decoded.aid) in (str, int) else ""
            body = event_object(session, visit.received_ms, aid, token)
        answer = event_answer(target.face, target.location, body, headers)
        record = envelope(log_id, sequence, visit, members_of(visit), session, line)
        if len(record) - sent > MOST_AROUND:
            record = envelope(log_id, sequence, visit, _fitting_members(visit, len(line) - sent), session, line)
        durable = self._committer.append(record) if request.is_stored else None
        return Stored(durable, sequence, event_id, answer)

    async def _begin_batch(self, request: Request, batch: Events, form: Form) -> StoredBatch:
        """Append the events, and do not wait for the disk. Raises Rejected, WalError: nothing is appended then.

        One bad event does not sink the others; those that are good go into the log together, or none of them.
        """
        visit, token, fault = request.visit, request.token, request.target.fault
        if fault is not None:
            raise await self._rejects.all_rejected(
                request, form, fault, [Refused(fault, each, index) for index, each in enumerate(batch.events)]
            )
        # locals: to look each up once an event would cost 0.2 us
        prop, sessions, limits, now = visit.prop, self._sessions, self._limits, visit.received_ms // 1000
        portal_id, required, are_lines, is_scrubbed = prop.portal_id, prop.required, batch.are_lines, prop.is_scrubbed
        known = session = sessions.read(portal_id, token) if token else None
        last: dict[int, Session] = {}
        records: list[bytes] = []
        refused: list[Refused] = []
        log_id, first = self._committer.log.log_id, self._committer.next_sequence
        members = shared_members_of(visit, room_for_headers(visit, len(batch.events)))
        is_over = self._rejects.is_over(request)
        is_explained = not is_over
        work, begun = 0, time.perf_counter()
        slice_bytes = SLICE_BYTES // SCRUB_WORK if is_scrubbed else SLICE_BYTES
        for index, each in enumerate(batch.events):
            work += len(each) + _EVENT_WORK
            if work > slice_bytes:
                work = 0
                if time.perf_counter() - begun > SLICE_SECONDS:
                    await self.pause(request)
                    begun = time.perf_counter()
            try:
                event, line = decode_event(each, required, limits, is_line=are_lines, is_explained=is_explained)
            except (BadEvent, TooLarge) as error:
                refused.append(Refused(TOO_MANY if is_over else error.refusal, each, index))
                continue
            if is_scrubbed:
                line = scrub(line, prop.ip, keeps_user_agent=prop.has_user_agent)
            session = next_session(sessions, portal_id, event, known, now, last)
            last[session.au_id] = session
            records.append(envelope(log_id, first + len(records), visit, members, session, line))
        durable = None
        if records and request.is_stored:
            first, durable = await self._append_in_turn(prop, records, first)
        if is_over:  # they leave no dead letter, so nothing of them is held
            refused = [each._replace(raw=b"") for each in refused]
        return StoredBatch(durable, first, len(records), session, refused)

    async def _append_in_turn(
        self, prop: Property, records: list[bytes], first: int
    ) -> tuple[int, asyncio.Future[None]]:
        """The same as `_append_batch`; what is large waits until nothing else large is on its way to the disk."""
        if sum(map(len, records)) < LARGE_BYTES:
            return self._append_batch(prop, records, first)
        async with self._long_work.large:
            first, durable = self._append_batch(prop, records, first)
            await asyncio.wait([durable])
        return first, durable

    def _append_batch(self, prop: Property, records: list[bytes], first: int) -> tuple[int, asyncio.Future[None]]:
        """Append records that were made for the sequences from `first` on; returns where they stand, and the future."""
        events, committer = len(records), self._committer
        if prop.rate:
            _check_rate(prop.rate, events)
        if committer.next_sequence != first:  # others have appended between two slices
            first = committer.next_sequence
            records = [renumbered(each, committer.log.log_id, at) for at, each in enumerate(records, first)]
        try:
            durable = committer.append(b"".join(records), events)
        except RecordTooLarge:
            raise TooLarge("the events are too large together; send fewer at a time") from None
        if prop.rate:
            prop.rate.take(events)
        return first, durable

    async def _answer_batch(self, request: Request, batch: StoredBatch, form: Form) -> Answer:
        """The answer for a batch, once it is stored. Raises Rejected, WalError, Unconfirmed."""
        prop, headers = request.visit.prop, request.headers
        if batch.durable is not None:
            await batch.durable
            headers += stored_headers(None, is_shipped=prop.ack is not None)
            if request.with_cookie and batch.session:
                token = self._sessions.token(prop.portal_id, batch.session)
                headers += set_cookie(token, prop.portal_id, is_https=request.is_https)
        if batch.refused:
            if not batch.records:
                self._rejects.check(request)
            await self._rejects.keep(request, form, batch.refused)
        if batch.durable is not None and prop.ack is not None:
            await self._wait_for(prop.ack, batch.first, batch.records, None)
        name = self._committer.log.log_id.decode()
        ids = [f"{name}-{each}" for each in range(batch.first, batch.first + batch.records)]
        rejected = [(each.batch_index or 0, each.refusal) for each in batch.refused]
        return batch_answer(request.target.face, ids, rejected, headers)

    async def _wait_for(self, ack: Ack, first: int, records: int, event_id: bytes | None) -> None:
        """Return once the sink has these events. Raises Unconfirmed."""
        try:
            async with asyncio.timeout(ack.seconds):
                if await self._confirmations[ack.sink].wait(first, first + records - 1):
                    return
        except TimeoutError:
            raise Unconfirmed(event_id) from None
        raise Unconfirmed(event_id)


def _fitting_members(visit: Visit, expansion: int) -> bytes:
    """The members of a record that would be too long, with less of the headers. Raises TooLarge if that won't do.

    `expansion` are the bytes that the event has beyond those that were sent.
    """
    room = room_for_headers(visit, 1, expansion)
    if room < 0:
        raise TooLarge("the event is too long once its escapes are JSON; send it as a JSON body")
    return shared_members_of(visit, room)


def _check_rate(rate: Rate, events: int) -> None:
    """Raise TooFast where a batch is over the rate, or can never be within it."""
    if events > rate.largest_batch:
        raise TooFast(
            f"the batch has {events} events, and this property may send {rate.largest_batch} at a time; "
            "send smaller batches",
            1,
        )
    if wait := rate.wait_seconds(time.monotonic(), events):
        raise TooFast("this property sends more events than its rate allows", wait)
