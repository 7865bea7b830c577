"""The endpoint: one request from its scope to its events, and the answer. Knows the order of the checks, and none of
their rules."""

import asyncio
import logging
import re
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from msgspec.structs import replace
from starlette.types import Receive, Scope, Send

from collector.dead_letters.writer import Form
from collector.errors import (
    BadTarget,
    Forbidden,
    MethodNotAllowed,
    NotAClick,
    NotFound,
    Overloaded,
    Refusal,
    Rejected,
    TooFast,
    TooLarge,
    Unconfirmed,
    UrlTooLong,
)
from collector.ingest.admission import can_be_resent, is_reserved
from collector.ingest.answer import (
    METHODS,
    Answer,
    Headers,
    document_answer,
    preflight_answer,
    redirect_answer,
    refusal_answer,
    stored_headers,
)
from collector.ingest.body import FORM, NDJSON, BodyReader, ClientGone, has_body, is_json, media_of
from collector.ingest.client import Networks, client_of, kept_address
from collector.ingest.cookie import has_cookies, token_in
from collector.ingest.cors import check_origin, cors_headers, preflight_headers
from collector.ingest.cycle import CYCLE
from collector.ingest.envelope import Visit
from collector.ingest.head import Head, head_of
from collector.ingest.intake import Intake
from collector.ingest.query import Pairs, event_of, is_form_over, parse_pairs, warnings_of
from collector.ingest.request import Request
from collector.ingest.send import send_answer
from collector.ingest.target import Face, Target, Targets
from collector.notices import FORBIDDEN, LOST_CLICK, TOO_FAST, UNKNOWN_PROPERTY, Notices
from collector.problems import UNAVAILABLE, refusal_of
from collector.registry import Property, is_key, key_in
from collector.settings import Limits
from wal.errors import WalError

_METHODS: Final = frozenset(METHODS.decode().split(", "))
_DOCUMENT_METHODS: Final = b"GET, HEAD"
_MOST_USER_AGENT: Final = 1024
_MOST_REFERER: Final = 4096
_NO_WARNINGS: Final[list[str]] = []
_PLAIN_METHODS: Final = ("POST", "GET")
_PLAIN_BEGINNINGS: Final = (b"{", b"")
_NOT_PLAIN: Final = (FORM, NDJSON)
_LONG_FORM_BYTES: Final = 16 << 10
"""Of a form: to read it takes up to 20 ns a byte, and it can't be done in slices."""
_NOTICED: Final = {NotFound.code: UNKNOWN_PROPERTY, TooFast.code: TOO_FAST, Forbidden.code: FORBIDDEN}
_NUMBERS: Final = re.compile(r"\d+(?:\.\d+)?")
"""What two reasons for a 503 may differ in, although they are one."""
_ENDING_CLICKS: Final = frozenset((NotAClick.code, Forbidden.code, MethodNotAllowed.code))
"""Refusals after which a click does not go on, although its target is allowed."""
_Waiting = tuple[Callable[[Answer], None], Answer, Target, Headers]

logger = logging.getLogger(__name__)


class EventEndpoint:
    """An ASGI application for the paths that take events."""

    def __init__(
        self, *, targets: Targets, intake: Intake, limits: Limits, trusted_proxies: Networks, notices: Notices
    ) -> None:
        self._targets = targets
        self._intake = intake
        self._bodies = BodyReader(limits)
        self._url_bytes = limits.url_bytes
        self._event_bytes = limits.event_bytes
        self._trusted_proxies = trusted_proxies
        self._notices = notices
        self._block: asyncio.Future[None] | None = None
        self._waiting: list[_Waiting] = []

    def begin(self, head: Head, body: bytes, respond: Callable[[Answer], None]) -> bool:
        """Take the event of a whole request, and call `respond` once it is durable. Without coroutine and task.

        False, and nothing has happened, for a request that is no plain event, waits for more than the log, or is
        refused: `__call__` serves it then, by the same rules.
        """
        headers = dict(head.headers)
        if head.method not in _PLAIN_METHODS or b"content-encoding" in headers or body[:1] not in _PLAIN_BEGINNINGS:
            return False
        target, token, pairs = self._aim(head, headers)
        cors = cors_headers(target.property, headers.get(b"origin"), is_s2s=target.is_s2s)
        try:
            prop = self._admitted(head, headers, target)
            media = media_of(headers) if body else b""
            if (
                prop.ack is not None
                or target.fault is not None
                or media in _NOT_PLAIN
                or (pairs and (pairs.is_cut or pairs.repeated))
            ):
                return False
            self._check_room(target, media)
            request = self._request(head, headers, target, prop, token, cors)
            if pairs is None:
                stored = self._intake.begin(request, body, len(body))
            else:
                stored = self._intake.begin(request, event_of(pairs), len(head.query))
        except (Rejected, Overloaded, WalError):
            return False
        if prop.rate:
            prop.rate.take(1)
        if stored.durable and stored.durable is not self._block:
            self._block, self._waiting = stored.durable, []
            stored.durable.add_done_callback(partial(self._respond_all, self._waiting))
        self._waiting.append((respond, stored.answer, target, cors))
        return True

    def _respond_all(self, waiting: list[_Waiting], durable: asyncio.Future[None]) -> None:
        """Answer all whose events are in one block, which is fsynced, or has failed with a WalError."""
        error = durable.exception()
        for respond, answer, target, cors in waiting:
            try:
                respond(answer if error is None else self._refused(target, error, cors))  # type: ignore[arg-type]
            except Exception:
                logger.exception("an answer was not sent")
        waiting.clear()  # it is held until the next block

    def _aim(self, head: Head, headers: dict[bytes, bytes]) -> tuple[Target, bytes, Pairs | None]:
        """The target, the session token, and the query's pairs where it carries the event."""
        if has_body(headers):
            return *self._targets.find(head.query), None
        pairs = parse_pairs(head.query)
        return self._targets.parse(pairs), pairs.values.get("an_session", "").encode(), pairs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; whatever happens, it is answered from here."""
        head = head_of(scope)
        headers = dict(head.headers)
        target, token, pairs = self._aim(head, headers)
        cors = cors_headers(target.property, headers.get(b"origin"), is_s2s=target.is_s2s)
        try:
            prop = self._admitted(head, headers, target)
            if head.method == "OPTIONS":
                answer = preflight_answer(preflight_headers(prop, headers.get(b"origin")))
            else:
                request = self._request(head, headers, target, prop, token, cors)
                if (cycle := scope.get(CYCLE)) is not None:
                    request = replace(request, is_gone=lambda: cycle.disconnected)
                if pairs is None:
                    answer = await self._take_body(request, scope, receive, headers)
                else:
                    self._check_room(target, b"")
                    answer = await self._take_query(request, head.query, pairs, Form.QUERY)
        except (ClientGone, asyncio.CancelledError):  # the latter at a stop, to those that are not done in time
            return
        except (Rejected, Overloaded, Unconfirmed, WalError) as error:
            answer = self._refused(target, error, cors)
        await send_answer(scope, send, answer)

    def _admitted(self, head: Head, headers: dict[bytes, bytes], target: Target) -> Property:
        """The property, if this request may send to it."""
        method = head.method
        if method not in _METHODS:
            raise MethodNotAllowed(METHODS)
        if len(head.query) + len(head.path) > self._url_bytes:
            raise UrlTooLong(f"the URL is over the limit of {self._url_bytes} bytes")
        prop = target.property
        if prop is None:
            raise Rejected.of(target.fault or NotFound().refusal)
        check_origin(prop, headers, target.face)
        if method != "OPTIONS":
            if prop.key_digests and not is_key(key_in(headers), prop.key_digests):
                raise Forbidden("this property needs a write key, as authorization: Bearer or x-write-key")
            if prop.rate and (wait := prop.rate.wait_seconds(time.monotonic())):
                raise TooFast("this property sends more events than its rate allows", wait)
        return prop

    def _request(
        self, head: Head, headers: dict[bytes, bytes], target: Target, prop: Property, token: bytes, cors: Headers
    ) -> Request:
        client = client_of(head.peer, head.scheme, head.headers, self._trusted_proxies)
        is_s2s = target.is_s2s
        with_cookie = has_cookies(prop, headers, target.face, is_s2s=is_s2s)
        if with_cookie and not token and b"cookie" in headers:
            token = token_in(headers[b"cookie"], prop.portal_id)
        has_agent = prop.has_user_agent and not is_s2s and b"user-agent" in headers
        visit = Visit(
            prop=prop,
            received_ms=self._intake.clock(),
            ip=None if is_s2s else kept_address(client.ip, prop.ip),
            user_agent=_text(headers[b"user-agent"], _MOST_USER_AGENT) if has_agent else None,
            referer=_text(headers[b"referer"], _MOST_REFERER) if b"referer" in headers else None,
            is_s2s=is_s2s,
            warnings=_NO_WARNINGS,
        )
        return Request(target, visit, token, cors, with_cookie, client.is_https, head.method != "HEAD")

    async def _take_body(self, request: Request, scope: Scope, receive: Receive, headers: dict[bytes, bytes]) -> Answer:
        media = media_of(headers)
        self._check_room(request.target, media)
        encoding = headers.get(b"content-encoding", b"")
        reading = self._bodies.read(scope, receive, headers)
        if media != FORM:
            # nothing here holds the body while its events wait for the disk
            return await self._intake.take_body(request, await reading, encoding, is_ndjson=media == NDJSON)
        form = await reading
        if encoding:
            form = await self._intake.inflate(request, form, encoding)
        if is_json(form):
            return await self._intake.take_body(request, form, b"", is_ndjson=False)
        if is_form_over(form, self._event_bytes):
            raise TooLarge(f"the form is over the limit of {self._event_bytes} bytes, its escapes undone")
        if len(form) > _LONG_FORM_BYTES:
            await self._intake.pause(request)
        return await self._take_query(request, form, parse_pairs(form), Form.FORM)

    async def _take_query(self, request: Request, query: bytes, pairs: Pairs, form: Form) -> Answer:
        event = event_of(pairs)
        if pairs.is_cut:
            fault = BadTarget("the query or the form has too many parameters").refusal
            request = replace(request, target=request.target._replace(fault=fault))
        if warnings := warnings_of(pairs):
            request = replace(request, visit=replace(request.visit, warnings=warnings))
        return await self._intake.take(request, event, query if event else b"", form)

    def _check_room(self, target: Target, media: bytes) -> None:
        if can_be_resent(target.face, media, is_s2s=target.is_s2s) and is_reserved(self._intake.fullness):
            raise Overloaded("the log is close to its limits")

    def _refused(self, target: Target, error: Rejected | Overloaded | Unconfirmed | WalError, cors: Headers) -> Answer:
        """The person comes first: an allowed click goes on, whatever became of its event."""
        refusal = refusal_of(error)
        self._notice(target, refusal, error)
        headers = cors + stored_headers(error.event_id) if isinstance(error, Unconfirmed) else cors
        if target.location is None or refusal.code in _ENDING_CLICKS:
            return refusal_answer(target.face, refusal, headers)
        if not isinstance(error, Unconfirmed):
            self._notices.count(LOST_CLICK, _name_of(target))
        return redirect_answer(target.location, headers)

    def _notice(self, target: Target, refusal: Refusal, error: Exception) -> None:
        """Have the process log tell what an operator must know: it counts, and is not written for each request."""
        if refusal.code in _NOTICED:
            self._notices.count(_NOTICED[refusal.code], _name_of(target))
        elif refusal is UNAVAILABLE:
            self._notices.shed(_NUMBERS.sub("…", str(error)))


def _name_of(target: Target) -> str:
    prop = target.property
    return f"{prop.portal_id}/{prop.prop_id}" if prop else target.named


class Document:
    """An ASGI application for one JSON document."""

    def __init__(self, body: bytes) -> None:
        self._answer = document_answer(body)

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Serve it."""
        if scope["method"] in ("GET", "HEAD"):
            await send_answer(scope, send, self._answer)
        else:
            await send_answer(scope, send, refusal_answer(Face.JSON, MethodNotAllowed(_DOCUMENT_METHODS).refusal))


class Unavailable:
    """An ASGI application for the paths that take events, while the log can't be opened. Not a function, from which
    Starlette's `Route` would take GET alone."""

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer 503, whatever is asked."""
        await send_answer(scope, send, refusal_answer(Face.JSON, UNAVAILABLE))


async def not_found(scope: Scope, _receive: Receive, send: Send) -> None:
    """The ASGI application for every other path."""
    await send_answer(scope, send, refusal_answer(Face.JSON, NotFound().refusal))


def _text(header: bytes, most: int) -> str:
    return header[:most].decode("latin-1")
