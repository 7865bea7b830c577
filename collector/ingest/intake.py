"""From decoded events to durable records: sessions, envelopes, the log, and dead letters for what is refused."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

from collector.config import Limits
from collector.confirmations import Confirmations
from collector.dead_letters import DeadLetters, Form, Refused, Sender
from collector.errors import BadEvent, BadRedirect, BadTarget, NotAClick, TooLarge, Unconfirmed
from collector.ingest.answer import Answer, Headers, batch_answer, event_answer, event_object, stored_headers
from collector.ingest.cookie import set_cookie
from collector.ingest.decode import Batch, batch_in, decode_event
from collector.ingest.envelope import Visit, envelope, members_of
from collector.ingest.inflate import inflate
from collector.ingest.privacy import scrub, scrub_raw
from collector.ingest.query import without
from collector.ingest.session import Session, Sessions
from collector.ingest.target import Face, Target
from collector.ingest.visitor import next_session
from collector.registry import Ack
from wal.committer import Committer
from wal.errors import RecordTooLarge

_LOST_CLICKS_MS: Final = 60_000
_JSON: Final = Face.JSON
_JAVASCRIPT: Final = Face.JAVASCRIPT

logger = logging.getLogger(__name__)


class Request(Struct, frozen=True, gc=False):
    """A request to a property that may send."""

    target: Target
    visit: Visit
    token: bytes
    headers: Headers
    """What every answer to it carries."""
    with_cookie: bool
    is_https: bool
    is_stored: bool
    """False for HEAD, which is answered as GET would be, and leaves nothing behind."""


class Stored(Struct, frozen=True, gc=False):
    """An event on its way into the log."""

    durable: asyncio.Future[None] | None
    """Done once it is fsynced; None for the event of a HEAD request, which is not stored."""
    sequence: int
    event_id: bytes
    answer: Answer
    """To be sent then."""


class StoredBatch(Struct, frozen=True, gc=False):
    """A batch on its way into the log: nothing of it but what is to be said of it then."""

    durable: asyncio.Future[None] | None
    """Done once its events are fsynced; None where none are stored."""
    first: int
    """The sequence of the first of them."""
    records: int
    session: Session | None
    """Of the last of them."""
    refused: list[tuple[int, Refused]]
    """The events that are not as they must be, by index."""


class Intake:
    """Takes events into the log, and what is wrong with them into the dead letters."""

    def __init__(
        self,
        *,
        committer: Committer,
        dead_letters: DeadLetters,
        sessions: Sessions,
        limits: Limits,
        confirmations: Mapping[str, Confirmations],
        clock: Callable[[], int],
    ) -> None:
        """`confirmations` are those of each sink, by name; `clock` gives Unix milliseconds."""
        self.clock = clock
        self._committer = committer
        self._dead_letters = dead_letters
        self._sessions = sessions
        self._limits = limits
        self._confirmations = confirmations
        self._lost_clicks = 0
        self._lost_clicks_told_ms = 0

    @property
    def fullness(self) -> float:
        """How close the log is to its nearest limit, from 0 to 1."""
        return self._committer.fullness

    async def inflate(self, request: Request, body: bytes, encoding: bytes) -> bytes:
        """The body without its content encoding. Raises Rejected."""
        try:
            return inflate(body, encoding.strip().lower(), self._limits.body_bytes)
        except BadEvent as error:
            await self._refuse(request, [Refused(error, Form.JSON, body)])
            raise

    async def take_body(self, request: Request, body: bytes, *, is_ndjson: bool) -> Answer:
        """Take the event, or the events, in a body. Raises Rejected, WalError."""
        if not is_ndjson and body[:1] == b"{":
            return await self.take(request, body, body, Form.JSON)
        try:
            batch = batch_in(body, self._limits.batch_events, is_ndjson=is_ndjson)
            if batch is not None and request.target.face is Face.REDIRECT:
                raise NotAClick("a redirect needs one click event, not a batch")
        except (BadEvent, NotAClick) as error:
            if body:
                await self._refuse(request, [Refused(error, Form.NDJSON if is_ndjson else Form.JSON, body)])
            raise
        if batch is None:
            return await self.take(request, body, body, Form.JSON)
        if request.visit.prop.rate and request.is_stored:
            request.visit.prop.rate.take(len(batch.events))
        if (fault := request.target.fault) is not None:
            await self._refuse(request, [Refused(fault, Form.JSON, event) for event in batch.events])
            raise fault
        stored = self._begin_batch(request, batch)
        # or the next batch would find neither memory nor caches that this one has done with (0.5 us an event)
        del body, batch
        return await self._answer_batch(request, stored)

    async def take(self, request: Request, event: bytes, raw: bytes, form: Form) -> Answer:
        """Take one event, which came as `raw`. Raises Rejected, WalError."""
        prop = request.visit.prop
        if prop.rate and request.is_stored:
            prop.rate.take(1)
        try:
            stored = self.begin(request, event)
        except (BadEvent, BadRedirect, BadTarget, NotAClick) as error:
            if raw:
                kept = without(raw, "an_session", "redirect_sig") if form is Form.QUERY else raw
                await self._refuse(request, [Refused(error, form, kept)])
            raise
        if stored.durable is not None:
            await stored.durable
            if prop.ack is not None:
                await self._wait_for(prop.ack, stored.sequence, 1, stored.event_id)
        return stored.answer

    def begin(self, request: Request, event: bytes) -> Stored:
        """Append one event, and do not wait for the disk. Raises Rejected, WalError: nothing is appended then."""
        target, visit, token, headers = request.target, request.visit, request.token, request.headers
        prop, sessions = visit.prop, self._sessions
        if target.fault is not None:
            raise target.fault
        decoded, line = decode_event(event, prop.required, self._limits)
        if prop.ip != "full" or not prop.has_user_agent:
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
        durable = self._committer.append(record) if request.is_stored else None
        return Stored(durable, sequence, event_id, answer)

    def count_lost_click(self) -> None:
        """Count a click that was sent on although its event was not stored, and say so once a minute."""
        self._lost_clicks += 1
        now = self.clock()
        if now - self._lost_clicks_told_ms >= _LOST_CLICKS_MS:
            logger.warning("%d clicks were redirected although their events were not stored", self._lost_clicks)
            self._lost_clicks, self._lost_clicks_told_ms = 0, now

    def _begin_batch(self, request: Request, batch: Batch) -> StoredBatch:
        """Append the events, and do not wait for the disk. Raises TooLarge, WalError: nothing is appended then.

        One bad event does not sink the others; those that are good go into the log together, or none of them.
        """
        visit, token = request.visit, request.token
        prop = visit.prop
        known = session = self._sessions.read(prop.portal_id, token) if token else None
        last: dict[int, Session] = {}
        records: list[bytes] = []
        refused: list[tuple[int, Refused]] = []
        log_id, sequence, members = self._committer.log.log_id, self._committer.next_sequence, members_of(visit)
        is_whole = prop.ip == "full" and prop.has_user_agent
        for index, each in enumerate(batch.events):
            try:
                event, line = decode_event(each, prop.required, self._limits, is_line=batch.are_lines)
            except (BadEvent, TooLarge) as error:
                refused.append((index, Refused(error, Form.JSON, each)))
                continue
            if not is_whole:
                line = scrub(line, prop.ip, keeps_user_agent=prop.has_user_agent)
            session = next_session(self._sessions, prop.portal_id, event, known, visit.received_ms // 1000, last)
            last[session.au_id] = session
            records.append(envelope(log_id, sequence + len(records), visit, members, session, line))
        durable = None
        if records and request.is_stored:
            try:
                durable = self._committer.append(b"".join(records), len(records))
            except RecordTooLarge:
                raise TooLarge("the events are too large together; send fewer at a time") from None
        return StoredBatch(durable, sequence, len(records), session, refused)

    async def _answer_batch(self, request: Request, batch: StoredBatch) -> Answer:
        """The answer for a batch, once it is stored. Raises WalError, Unconfirmed."""
        prop, headers = request.visit.prop, request.headers
        if batch.durable is not None:
            await batch.durable
            headers += stored_headers(None, is_shipped=prop.ack is not None)
            if request.with_cookie and batch.session:
                token = self._sessions.token(prop.portal_id, batch.session)
                headers += set_cookie(token, prop.portal_id, is_https=request.is_https)
        if batch.refused:
            await self._refuse(request, [each for _, each in batch.refused])
        if batch.durable is not None and prop.ack is not None:
            await self._wait_for(prop.ack, batch.first, batch.records, None)
        name = self._committer.log.log_id.decode()
        ids = [f"{name}-{each}" for each in range(batch.first, batch.first + batch.records)]
        rejected = [(index, each.error) for index, each in batch.refused]
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

    async def _refuse(self, request: Request, refused: list[Refused]) -> None:
        visit = request.visit
        if request.is_stored:
            prop = visit.prop
            known = (visit.received_ms, visit.ip, visit.user_agent, visit.referer, visit.is_s2s)
            kept = [
                each._replace(raw=scrub_raw(each.raw, each.form, prop.ip, keeps_user_agent=prop.has_user_agent))
                for each in refused
            ]
            await self._dead_letters.put(Sender(prop.portal_id, prop.prop_id, *known), kept)
