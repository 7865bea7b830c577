"""The endpoint of events: the order of the checks from a request to its response. The rules are in other modules."""

import time
from collections.abc import Generator
from typing import Final

from collector.errors import (
    Forbidden,
    MethodNotAllowed,
    NotAClick,
    NotFound,
    Overloaded,
    Refusal,
    Rejected,
    TooFast,
    Unconfirmed,
)
from collector.http.request import RequestHead
from collector.http.response import HeaderLines, Pending, Response
from collector.http.status import refusal_of
from collector.ingest.accounts.accounts import Accounts
from collector.ingest.accounts.noticing import notice
from collector.ingest.accounts.rejects import Rejects
from collector.ingest.bodies.body import media_of
from collector.ingest.dialects.cloudevents.dialect import is_cloudevents
from collector.ingest.dialects.endpoint import DialectEndpoint, DialectRequest
from collector.ingest.fields.event_id import key_of
from collector.ingest.intake import Intake
from collector.ingest.options import OptionsReader, RequestOptions
from collector.ingest.policy.client_address import Networks, client_of, kept_address
from collector.ingest.policy.cookies import has_cookies, token_in
from collector.ingest.policy.load_shedding import is_retryable, sheds_retryable
from collector.ingest.policy.origins import check_origin, cors_headers, preflight_headers
from collector.ingest.policy.properties import Property
from collector.ingest.policy.write_keys import is_key, key_in
from collector.ingest.query import Pairs, parse_pairs
from collector.ingest.record import LONGEST_REFERER, LONGEST_USER_AGENT, RequestContext
from collector.ingest.request import EventRequest, check_head
from collector.ingest.responses import preflight_response, redirect_response, stored_headers, typed_refusal
from collector.ingest.storing.completion import Completion
from collector.ingest.storing.outcome import AllRefused, Stored
from collector.long_work import SLICE_BYTES
from collector.ops.notices import Notices
from collector.process_log.of_requests import ClickLost
from collector.settings import Limits
from wal.errors import WalError

_NO_WARNINGS: Final[list[str]] = []
_KEY: Final = b"idempotency-key"
_EVENTLESS: Final = ("HEAD", "OPTIONS")
"""Methods whose requests don't count as events."""
_ENDING_CLICKS: Final = frozenset((NotAClick.code, Forbidden.code, MethodNotAllowed.code))
"""Refusals after which a click is not redirected, even to an allowed location."""


class EventEndpoint:
    """Serves the paths for events, as `http.Endpoint`."""

    def __init__(
        self,
        *,
        options: OptionsReader,
        intake: Intake,
        completion: Completion,
        rejects: Rejects,
        accounts: Accounts,
        limits: Limits,
        trusted_proxies: Networks,
        notices: Notices,
        cloud_events: DialectEndpoint | None,
    ) -> None:
        """`cloud_events` serves requests that are CloudEvents by their headers; None where that dialect is off."""
        self._cloud_events = cloud_events
        self._reader = options
        self._intake = intake
        self._completion = completion
        self._rejects = rejects
        self._accounts = accounts
        self._url_bytes = limits.url_bytes
        self._body_bytes = limits.body_bytes
        self._trusted_proxies = trusted_proxies
        self._notices = notices

    def admit(self, head: RequestHead) -> Response | EventRequest | DialectRequest:
        """The request, or its refusal. Makes all checks that need no body."""
        if self._cloud_events is not None and is_cloudevents(head.fields):
            return self._cloud_events.admit(head)
        options, token, pairs = self._options(head)
        cors = cors_headers(options.property, head.fields.get(b"origin"), is_s2s=options.is_s2s)
        try:
            prop = self._admitted(head, options)
            if head.method == "OPTIONS":
                return preflight_response(preflight_headers(prop, head.fields.get(b"origin")))
            media = b"" if pairs is not None else media_of(head.fields)
            if is_retryable(options, media) and sheds_retryable(self._intake.pressure):
                raise Overloaded("the log is close to its limits")
        except (Rejected, Overloaded) as error:
            refusal = refusal_of(error)
            if head.method not in _EVENTLESS:
                self._accounts.refuse_unread(options.property, refusal)
            return self._refused(head.path, options, error, refusal, cors)
        return self._request(head, options, prop, token, cors, media, pairs)

    def take(self, request: EventRequest | DialectRequest) -> Response | Pending:
        """Append the events of a whole request; returns the response, or a pending one."""
        if isinstance(request, DialectRequest):
            return request.endpoint.take(request)
        length = len(request.body)
        self._accounts.receive(request)
        try:
            outcome = self._intake.submit(request)
            if type(outcome) is Stored:  # first, because to ask for the type of a generator takes 0.3 us
                return self._completion.respond(request, outcome)
            if isinstance(outcome, Generator):
                return self._completion.run(request, outcome, length)
            if type(outcome) is AllRefused and length <= SLICE_BYTES:
                return self._refused_event(request, outcome)
            return self._completion.respond(request, outcome)
        except (Rejected, Overloaded, WalError) as error:
            return self.refuse(request, error)

    def refuse(self, request: EventRequest | DialectRequest, error: BaseException) -> Response:
        """The response to an admitted request that failed."""
        if isinstance(request, DialectRequest):
            return request.endpoint.refuse(request, error)
        refusal = refusal_of(error)
        self._accounts.refuse(request, refusal)
        return self._refused(request.head.path, request.options, error, refusal, request.headers)

    def _refused_event(self, request: EventRequest, outcome: AllRefused) -> Response | Pending:
        """The refusal of a single event, which waits for its dead letter."""
        self._rejects.check(request)
        kept = self._rejects.keep_short(request, outcome.form, outcome.refused) if request.is_stored else None
        response = self.refuse(request, Rejected.of(outcome.refusal))
        return response if kept is None else Pending(response, kept, is_certain=True)

    def _options(self, head: RequestHead) -> tuple[RequestOptions, bytes, Pairs | None]:
        """The options, the session token, and the query's pairs if the query carries the event."""
        if head.has_body:
            return *self._reader.find(head.query), None
        pairs = parse_pairs(head.query)
        return self._reader.parse(pairs), pairs.values.get("an_session", "").encode(), pairs

    def _admitted(self, head: RequestHead, options: RequestOptions) -> Property:
        """The property that this request may send to. Raises Rejected."""
        check_head(head, self._url_bytes)
        prop = options.property
        if prop is None:
            raise Rejected.of(options.fault or NotFound().refusal)
        check_origin(prop, head.fields, options.response_type)
        if head.method != "OPTIONS":
            if prop.key_digests and not is_key(key_in(head.fields), prop.key_digests):
                raise Forbidden("this property needs a write key, as authorization: Bearer or x-write-key")
            if prop.rate and (wait := prop.rate.wait_seconds(time.monotonic())):
                raise TooFast("this property sends more events than its rate allows", wait)
        return prop

    def _request(
        self,
        head: RequestHead,
        options: RequestOptions,
        prop: Property,
        token: bytes,
        cors: HeaderLines,
        media: bytes,
        pairs: Pairs | None,
    ) -> EventRequest:
        fields, is_s2s = head.fields, options.is_s2s
        client = client_of(head.peer[0] if head.peer else None, head.scheme, head.headers, self._trusted_proxies)
        with_cookie = has_cookies(prop, fields, options.response_type, is_s2s=is_s2s)
        if with_cookie and b"cookie" in fields and not (token and self._intake.knows(prop, token)):
            token = token_in(fields[b"cookie"], prop.portal_id)
        has_agent = prop.has_user_agent and not is_s2s and b"user-agent" in fields
        context = RequestContext(
            prop,
            self._intake.clock(),
            None if is_s2s else kept_address(client.ip, prop.ip),
            _text(fields[b"user-agent"], LONGEST_USER_AGENT) if has_agent else None,
            _text(fields[b"referer"], LONGEST_REFERER) if b"referer" in fields else None,
            is_s2s,
            list(options.warnings) if options.warnings else _NO_WARNINGS,
        )
        return EventRequest(
            options,
            context,
            client.is_https,
            head.method != "HEAD",
            token,
            cors,
            with_cookie,
            media,
            fields.get(b"content-encoding", b"").strip().lower() if pairs is None else b"",
            pairs,
            key=key_of(fields[_KEY]) if _KEY in fields else "",
            head=head,
            body_limit=self._body_bytes,
        )

    def _refused(
        self, path: bytes, options: RequestOptions, error: BaseException, refusal: Refusal, cors: HeaderLines
    ) -> Response:
        """The response to an error. An allowed click goes on even if its event is lost: the person comes first."""
        name, has_property = _name_of(options), options.property is not None
        notice(self._notices, self._accounts.refusals, path, name, refusal, error, has_property=has_property)
        headers = cors + stored_headers(error.event_id) if isinstance(error, Unconfirmed) else cors
        if options.location is None or refusal.code in _ENDING_CLICKS:
            return typed_refusal(options.response_type, refusal, headers)
        if not isinstance(error, Unconfirmed):
            self._notices.count(ClickLost, _name_of(options))
        return redirect_response(options.location, headers)


def _name_of(options: RequestOptions) -> str:
    prop = options.property
    return f"{prop.portal_id}/{prop.prop_id}" if prop else options.named


def _text(header: bytes, most: int) -> str:
    return header[:most].decode("latin-1")
