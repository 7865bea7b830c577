"""Appends the events of requests: bodies, queries and forms to events, and events to records."""

import time
from collections.abc import Callable, Generator
from typing import Final, cast

from msgspec import UNSET
from msgspec.structs import replace

from collector.dead_letters.writer import Form, Refused
from collector.errors import BadEvent, BadTarget, NotAClick, TooLarge
from collector.http.response import Response
from collector.ingest.accounts.accounts import Accounts
from collector.ingest.bodies.body import FORM, NDJSON, inflated, is_json
from collector.ingest.bodies.long_array import elements_of
from collector.ingest.bodies.splitting import batch_in
from collector.ingest.event import decode_event
from collector.ingest.fields.event_id import identify
from collector.ingest.fields.lost_events import count_of
from collector.ingest.options import ResponseType
from collector.ingest.policy.cookies import set_cookie
from collector.ingest.policy.dedup import Dedup
from collector.ingest.policy.privacy import scrub
from collector.ingest.policy.properties import Property
from collector.ingest.policy.rate_limit import check_rate
from collector.ingest.query import Pairs, event_of, is_form_over, misspelt, parse_pairs, warnings_of, without_secrets
from collector.ingest.record import (
    MOST_AROUND,
    RequestContext,
    members_of,
    record_line,
    room_for_headers,
    shared_members_of,
)
from collector.ingest.request import EventRequest
from collector.ingest.responses import event_object, event_response, stored_headers
from collector.ingest.session import Sessions
from collector.ingest.storing.batch import Batches
from collector.ingest.storing.once import StoredOnce
from collector.ingest.storing.outcome import AllRefused, Outcome, Queued, Steps, Stored
from collector.ingest.visitor import next_session
from collector.long_work import LARGE_BYTES
from collector.settings import Limits
from wal.committer import Committer

_JSON: Final = ResponseType.JSON
_JAVASCRIPT: Final = ResponseType.JAVASCRIPT
_REDIRECT: Final = ResponseType.REDIRECT
_JSON_FORM: Final = Form.JSON
_QUERY_FORM: Final = Form.QUERY
_LONG_FORM_BYTES: Final = 16 << 10
"""A longer form waits for a turn: parsing takes up to 20 ns a byte, and can't be done in slices."""


class Intake:
    """Appends the events of requests to the log. Nothing here waits for the disk."""

    def __init__(
        self,
        committer: Committer,
        dedup: Dedup,
        batches: Batches,
        accounts: Accounts,
        sessions: Sessions,
        limits: Limits,
        clock: Callable[[], int],
    ) -> None:
        """`clock` gives Unix milliseconds."""
        self.clock = clock
        self._dedup = dedup
        self._once = StoredOnce(dedup, committer, accounts)
        self._accounts = accounts
        self._committer = committer
        self._batches = batches
        self._sessions = sessions
        self._limits = limits

    @property
    def pressure(self) -> float:
        """How close the log is to its nearest limit, from 0 to 1."""
        return self._committer.pressure

    def knows(self, prop: Property, token: bytes) -> bool:
        """Whether a session token is one of ours for the portal of a property."""
        return self._sessions.read(prop.portal_id, token) is not None

    def submit(self, request: EventRequest) -> Outcome | Steps:
        """Append the event, or return the steps that lead to the outcome. Raises Rejected, Overloaded, WalError."""
        if request.pairs is not None:
            return self._of_pairs(request, request.head.query, request.pairs, _QUERY_FORM)
        body, request.body = request.body, b""  # to be freed early: the next batch can reuse the memory
        if request.encoding:
            return self._inflated_steps(request, body)
        return self._of_body(request, body)

    def _of_body(self, request: EventRequest, body: bytes) -> Outcome | Steps:
        if request.media == FORM and not is_json(body):
            return self._form_steps(request, body)
        if body[:1] == b"{" and request.media != NDJSON:
            return self._event(request, body, body, _JSON_FORM)
        return self._batch_steps(request, body, Form.NDJSON if request.media == NDJSON else Form.JSON)

    def _inflated_steps(self, request: EventRequest, body: bytes) -> Steps:
        try:
            body = yield from inflated(body, request.encoding, self._limits)
        except BadEvent as error:
            return AllRefused(Form.JSON, error.refusal, [Refused(error.refusal, body)])
        outcome = self._of_body(request, body)
        return (yield from outcome) if isinstance(outcome, Generator) else outcome

    def _form_steps(self, request: EventRequest, form: bytes) -> Steps:
        if is_form_over(form, self._limits.event_bytes):
            raise TooLarge(f"the form, unescaped, is over the limit of {self._limits.event_bytes} bytes")
        if len(form) > _LONG_FORM_BYTES:
            yield
        return self._of_pairs(request, form, parse_pairs(form), Form.FORM)

    def _batch_steps(self, request: EventRequest, body: bytes, form: Form) -> Steps:
        elements, limit = None, self._limits.batch_events
        if len(body) > LARGE_BYTES:
            yield
            elements = (yield from elements_of(body, limit)) if form is Form.JSON else None
        try:
            batch = batch_in(body, limit, is_ndjson=form is Form.NDJSON, elements=elements)
            if batch is not None and request.options.response_type is ResponseType.REDIRECT:
                raise NotAClick("a redirect needs one click event, not a batch")
        except (BadEvent, NotAClick) as error:
            return AllRefused(form, error.refusal, [Refused(error.refusal, body)])
        if batch is None:
            return self._event(request, body, body, form)
        if len(body) > LARGE_BYTES:
            yield
        return (yield from self._batches.steps(request, batch, form))

    def _of_pairs(self, request: EventRequest, query: bytes, pairs: Pairs, form: Form) -> Outcome:
        event = event_of(pairs)
        if pairs.is_cut:
            fault = BadTarget("the query or the form has too many parameters").refusal
            request.options = request.options._replace(fault=fault)
        if warnings := (warnings_of(pairs) if pairs.repeated else []) + misspelt(pairs):
            request.context = replace(request.context, warnings=request.context.warnings + warnings)
        return self._event(request, event, query if event else b"", form)

    def _event(self, request: EventRequest, event: bytes, raw: bytes, form: Form) -> Outcome:
        """Append one event, which was sent as `raw`."""
        refusal = request.options.fault
        if refusal is None:
            rate = request.context.prop.rate
            if rate and request.is_stored:
                check_rate(rate, 1, time.monotonic())
            try:
                return self._append(request, event, len(raw))
            except (BadEvent, NotAClick) as error:
                refusal = error.refusal
        kept = raw if form is Form.JSON or form is Form.NDJSON else without_secrets(raw)
        return AllRefused(form, refusal, [Refused(refusal, kept)])

    def _append(self, request: EventRequest, event: bytes, sent: int) -> Response | Stored | Queued:
        """Append one event, which was sent in `sent` bytes. Raises Rejected, WalError; then appends nothing."""
        options, context, token, headers = request.options, request.context, request.token, request.headers
        prop, sessions = context.prop, self._sessions
        decoded, line = decode_event(event, prop.required, self._limits)
        if prop.is_scrubbed:
            line = scrub(line, prop.ip, keeps_user_agent=prop.has_user_agent)
        if options.response_type is _REDIRECT and "click" not in (decoded.ea, decoded.ec):
            raise NotAClick("a redirect needs a click event: ea or ec must be click")
        last = sessions.read(prop.portal_id, token) if token else None
        session = next_session(sessions, prop.portal_id, decoded, last, context.received_ms // 1000)
        identify(decoded, request.key)
        if decoded.lost is not UNSET:
            request.lost = count_of(decoded.lost)
        has_object = options.response_type is _JSON or options.response_type is _JAVASCRIPT
        token = sessions.token(prop.portal_id, session) if has_object or request.with_cookie else b""
        is_once = prop.dedup_ms > 0 and decoded.event_id is not UNSET and request.is_stored
        log_id, sequence = self._committer.log.log_id, (self._once if is_once else self._committer).next_sequence
        event_id = b"%b-%d" % (log_id, sequence)
        if request.is_stored:
            headers += stored_headers(event_id, is_shipped=prop.ack is not None)
            if request.with_cookie:
                headers += set_cookie(token, prop.portal_id, is_https=request.is_https)
        body = b""
        if has_object:
            aid = str(decoded.aid) if type(decoded.aid) in (str, int) else ""
            body = event_object(session, context.received_ms, aid, token)
        response = event_response(options.response_type, options.location, body, headers)
        record = record_line(log_id, sequence, context, members_of(context), session, decoded, line)
        if len(record) - sent > MOST_AROUND:
            members = _fitting_members(context, len(line) - sent)
            record = record_line(log_id, sequence, context, members, session, decoded, line)
        if not request.is_stored:
            return response
        if is_once:
            key = self._dedup.key_of(prop, cast(str, decoded.event_id))
            queued = self._once.add(request, key, record, response, sequence)
            return Queued(None, queued.done, event=queued)
        durable = self._committer.append(record)
        self._accounts.append(request, 1, durable)
        if prop.rate:
            prop.rate.take(1)
        return Stored(response, durable, False, sequence, event_id)


def _fitting_members(context: RequestContext, expansion: int) -> bytes:
    """The members of a record that would be too long, with shortened headers. Raises TooLarge if that is not enough.

    `expansion`: bytes of the event beyond the bytes sent.
    """
    room = room_for_headers(context, 1, expansion)
    if room < 0:
        raise TooLarge("the event is too long after its escapes are converted to JSON; send it as a JSON body")
    return shared_members_of(context, room)
