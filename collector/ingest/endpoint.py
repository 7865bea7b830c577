"""The endpoint of events: the order of the checks from a request to its response, and none of their rules."""

import re
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
    UrlTooLong,
)
from collector.http.request import RequestHead
from collector.http.response import HeaderLines, Pending, Response
from collector.http.status import UNAVAILABLE, refusal_of
from collector.ingest.body import media_of
from collector.ingest.completion import Completion
from collector.ingest.intake import Intake
from collector.ingest.options import Target, Targets
from collector.ingest.policy.client_address import Networks, client_of, kept_address
from collector.ingest.policy.cookies import has_cookies, token_in
from collector.ingest.policy.load_shedding import can_be_resent, is_reserved
from collector.ingest.policy.origins import check_origin, cors_headers, preflight_headers
from collector.ingest.policy.properties import Property
from collector.ingest.policy.write_keys import is_key, key_in
from collector.ingest.query import Pairs, parse_pairs
from collector.ingest.record import Visit
from collector.ingest.request import EventRequest
from collector.ingest.responses import METHODS, faced_refusal, preflight_response, redirect_response, stored_headers
from collector.ops.notices import FORBIDDEN, LOST_CLICK, TOO_FAST, UNKNOWN_PROPERTY, Notices
from collector.settings import Limits
from wal.errors import WalError

_METHODS: Final = frozenset(METHODS.decode().split(", "))
_MOST_USER_AGENT: Final = 1024
_MOST_REFERER: Final = 4096
_NO_WARNINGS: Final[list[str]] = []
_NOTICED: Final = {NotFound.code: UNKNOWN_PROPERTY, TooFast.code: TOO_FAST, Forbidden.code: FORBIDDEN}
_NUMBERS: Final = re.compile(r"\d+(?:\.\d+)?")
"""What two reasons for a 503 may differ in, although they are one."""
_ENDING_CLICKS: Final = frozenset((NotAClick.code, Forbidden.code, MethodNotAllowed.code))
"""Refusals after which a click does not go on, although its target is allowed."""


class EventEndpoint:
    """Serves the paths that take events, as `http.Endpoint`."""

    def __init__(
        self,
        *,
        targets: Targets,
        intake: Intake,
        completion: Completion,
        limits: Limits,
        trusted_proxies: Networks,
        notices: Notices,
    ) -> None:
        self._targets = targets
        self._intake = intake
        self._completion = completion
        self._url_bytes = limits.url_bytes
        self._body_bytes = limits.body_bytes
        self._trusted_proxies = trusted_proxies
        self._notices = notices

    def admit(self, head: RequestHead) -> Response | EventRequest:
        """The request, if it may send to its property, or its refusal. All checks that need no body."""
        target, token, pairs = self._aim(head)
        cors = cors_headers(target.property, head.fields.get(b"origin"), is_s2s=target.is_s2s)
        try:
            prop = self._admitted(head, target)
            if head.method == "OPTIONS":
                return preflight_response(preflight_headers(prop, head.fields.get(b"origin")))
            media = b"" if pairs is not None else media_of(head.fields)
            if can_be_resent(target.face, media, is_s2s=target.is_s2s) and is_reserved(self._intake.fullness):
                raise Overloaded("the log is close to its limits")
        except (Rejected, Overloaded) as error:
            return self._refused(target, error, cors)
        return self._request(head, target, prop, token, cors, media, pairs)

    def take(self, request: EventRequest) -> Response | Pending:
        """The events of a whole request into the log, and the response with what it waits for."""
        length = len(request.body)
        try:
            outcome = self._intake.submit(request)
            if isinstance(outcome, Generator):
                return self._completion.run(request, outcome, length)
            return self._completion.respond(request, outcome)
        except (Rejected, Overloaded, WalError) as error:
            return self.refuse(request, error)

    def refuse(self, request: EventRequest, error: BaseException) -> Response:
        """The response to a request that was not taken."""
        return self._refused(request.target, error, request.headers)

    def _aim(self, head: RequestHead) -> tuple[Target, bytes, Pairs | None]:
        """The target, the session token, and the query's pairs where it carries the event."""
        if head.has_body:
            return *self._targets.find(head.query), None
        pairs = parse_pairs(head.query)
        return self._targets.parse(pairs), pairs.values.get("an_session", "").encode(), pairs

    def _admitted(self, head: RequestHead, target: Target) -> Property:
        """The property, if this request may send to it. Raises Rejected."""
        method = head.method
        if method not in _METHODS:
            raise MethodNotAllowed(METHODS)
        if len(head.query) + len(head.path) > self._url_bytes:
            raise UrlTooLong(f"the URL is over the limit of {self._url_bytes} bytes")
        prop = target.property
        if prop is None:
            raise Rejected.of(target.fault or NotFound().refusal)
        check_origin(prop, head.fields, target.face)
        if method != "OPTIONS":
            if prop.key_digests and not is_key(key_in(head.fields), prop.key_digests):
                raise Forbidden("this property needs a write key, as authorization: Bearer or x-write-key")
            if prop.rate and (wait := prop.rate.wait_seconds(time.monotonic())):
                raise TooFast("this property sends more events than its rate allows", wait)
        return prop

    def _request(
        self,
        head: RequestHead,
        target: Target,
        prop: Property,
        token: bytes,
        cors: HeaderLines,
        media: bytes,
        pairs: Pairs | None,
    ) -> EventRequest:
        fields, is_s2s = head.fields, target.is_s2s
        client = client_of(head.peer[0] if head.peer else None, head.scheme, head.headers, self._trusted_proxies)
        with_cookie = has_cookies(prop, fields, target.face, is_s2s=is_s2s)
        if with_cookie and not token and b"cookie" in fields:
            token = token_in(fields[b"cookie"], prop.portal_id)
        has_agent = prop.has_user_agent and not is_s2s and b"user-agent" in fields
        visit = Visit(
            prop=prop,
            received_ms=self._intake.clock(),
            ip=None if is_s2s else kept_address(client.ip, prop.ip),
            user_agent=_text(fields[b"user-agent"], _MOST_USER_AGENT) if has_agent else None,
            referer=_text(fields[b"referer"], _MOST_REFERER) if b"referer" in fields else None,
            is_s2s=is_s2s,
            warnings=_NO_WARNINGS,
        )
        return EventRequest(
            target,
            visit,
            token,
            cors,
            with_cookie,
            client.is_https,
            head.method != "HEAD",
            media,
            fields.get(b"content-encoding", b"").strip().lower() if pairs is None else b"",
            pairs,
            head=head,
            body_limit=self._body_bytes,
        )

    def _refused(self, target: Target, error: BaseException, cors: HeaderLines) -> Response:
        """The person comes first: an allowed click goes on, whatever became of its event."""
        refusal = refusal_of(error)
        self._notice(target, refusal, error)
        headers = cors + stored_headers(error.event_id) if isinstance(error, Unconfirmed) else cors
        if target.location is None or refusal.code in _ENDING_CLICKS:
            return faced_refusal(target.face, refusal, headers)
        if not isinstance(error, Unconfirmed):
            self._notices.count(LOST_CLICK, _name_of(target))
        return redirect_response(target.location, headers)

    def _notice(self, target: Target, refusal: Refusal, error: BaseException) -> None:
        """Have the process log tell what an operator must know: it counts, and is not written for each request."""
        if refusal.code in _NOTICED:
            self._notices.count(_NOTICED[refusal.code], _name_of(target))
        elif refusal is UNAVAILABLE:
            self._notices.shed(_NUMBERS.sub("…", str(error)))


def _name_of(target: Target) -> str:
    prop = target.property
    return f"{prop.portal_id}/{prop.prop_id}" if prop else target.named


def _text(header: bytes, most: int) -> str:
    return header[:most].decode("latin-1")
