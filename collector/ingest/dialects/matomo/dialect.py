"""Matomo's and Piwik's trackers, pure: its tracking API by GET, by POST with a query or a form, and in bulk.

Where its documentation leaves a choice:

- An event without `rec=1` is refused, because Matomo does not record it.
- An event without `idsite` has the property of the request's query, as it has its `token_auth`.
- Of repeated parameters the first counts, those of the query before those of the form.
- `token_auth` is the property's secret. It leaves this module in the credentials alone. Browsers have none, so an event
  with one is of a server.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Raw, Struct

from collector.errors import UNDECODABLE, BadEvent, Refusal, Rejected
from collector.http.request import RequestHead
from collector.http.response import JSON, NO_STORE, Response
from collector.ingest.bodies.splitting import batch_in
from collector.ingest.dialects.dialect import (
    LONG_BYTES,
    MOST_EVENTS,
    NO_CREDENTIALS,
    PAUSE,
    Credentials,
    DialectEvent,
    Result,
    refusal_response,
)
from collector.ingest.dialects.matomo.table import JSON_NAMES, event_of
from collector.ingest.dialects.parameters import (
    Growth,
    check_all_read,
    check_length,
    grown,
    kept_of,
    line_of,
    parameters_in,
)
from collector.ingest.dialects.surrogates import mended
from collector.ingest.options import ResponseType
from collector.ingest.query import Pairs, parse_pairs
from collector.ingest.responses import event_response
from collector.settings.paths import DIALECT_PATHS

_SPACE: Final = b" \t\r\n"
_SECRETS: Final = {
    b"token_auth": re.compile(
        rb'token_auth(?:"\s{0,9}:\s{0,9}(?:"[^"]{0,999}"?|[^"\s,}]{0,999})'  # a member of JSON
        rb'|=[^&"\s]{0,999})'  # a parameter
    ),
    b"cip=": re.compile(rb'cip=[^&"\s]{0,99}'),
    b"ua=": re.compile(rb'ua=[^&"\s]{0,9999}'),
    b"uadata=": re.compile(rb'uadata=[^&"\s]{0,9999}'),
}
"""Tokens and personal data in bytes that can't be parsed, by the text that they begin with."""
_MOST_SECRETS: Final = MOST_EVENTS + 1
"""One for each event, and that of the request."""


class _Bulk(Struct):
    """The body of a bulk request."""

    requests: Raw
    token_auth: str | None = None


class _Named(Struct):
    """The members of an event that name its property."""

    idsite: str | int = ""
    token_auth: str = ""


_named_in: Final = msgspec.json.Decoder(_Named).decode
_bulk_in: Final = msgspec.json.Decoder(_Bulk).decode
_decode_text: Final = msgspec.json.Decoder(str).decode


class Matomo:
    """The dialect, as `dialect.Dialect`."""

    name = "matomo"
    paths: tuple[str, ...] = DIALECT_PATHS["matomo"]
    pattern: re.Pattern[bytes] | None = re.compile(rb"/(?:.*/)?(?:matomo|piwik)\.php/?")

    def credentials(self, head: RequestHead) -> Credentials:
        """`idsite` and `token_auth` of the query."""
        return _credentials(parse_pairs(head.query).values, "")

    def retries(self, _head: RequestHead) -> bool:
        """False: no tracker sends again."""
        return False

    def events(self, head: RequestHead, body: bytes) -> Iterator[DialectEvent]:
        """Those of a bulk request, else the one of query and form. Bad JSON is one bad event, without its tokens."""
        if body.lstrip(_SPACE)[:1] == b"{":
            yield from _bulk_events(head, body)
        elif head.query or body:
            query = b"&".join([head.query, body])
            check_length(query)
            yield _converted(parse_pairs(query), query, Growth(), "")
        else:
            raise BadEvent("the request carries no event")

    def response(self, head: RequestHead, result: Result) -> Response:
        """A GIF if the event is in the query, or nothing if it says `send_image=0`; else the numbers of events."""
        query = parse_pairs(head.query).values
        if head.method == "POST" and "rec" not in query:
            tracked = result.stored + result.duplicates
            body = b'{"status":"success","tracked":%d,"invalid":%d}' % (tracked, result.rejected)
            return Response(200, JSON, body)
        if query.get("send_image") == "0":
            return Response(204, NO_STORE, b"")
        return event_response(ResponseType.PIXEL, None, b"", b"")

    def refusal(self, _head: RequestHead, refusal: Refusal) -> Response:
        """JSON."""
        return refusal_response(refusal)


def _credentials(fields: dict[str, str], token: str) -> Credentials:
    return Credentials(fields.get("idsite", ""), fields.get("token_auth") or token)


def _bulk_events(head: RequestHead, body: bytes) -> Iterator[DialectEvent]:
    """Raises TooLarge for too many events."""
    try:
        try:
            bulk = _bulk_in(body)
        except msgspec.DecodeError:
            body = mended(body)
            bulk = _bulk_in(body)
        if len(body) > LONG_BYTES:
            yield PAUSE
        batch = batch_in(bytes(bulk.requests), MOST_EVENTS, is_ndjson=False)
        if batch is None:
            raise BadEvent("requests: expected an array")
    except BadEvent as error:
        yield _unread(body, error.refusal)
        return
    except UNDECODABLE as error:
        yield _unread(body, BadEvent(f"expected a JSON object with requests, an array: {error}").refusal)
        return
    token = bulk.token_auth or parse_pairs(head.query).values.get("token_auth", "")
    growth = Growth()
    for raw in batch.events:
        yield _bulk_event(raw, growth, token)


def _bulk_event(raw: bytes, growth: Growth, token: str) -> DialectEvent:
    """One event, which is a URL, its query, or an object of parameters."""
    try:
        if raw.startswith(b'"'):
            check_length(raw)
            url = _decode_text(raw)
            pairs = parse_pairs(url[url.find("?") + 1 :].encode())
        else:
            pairs = Pairs(parameters_in(raw, JSON_NAMES), (), is_cut=False)
    except Rejected as error:
        return _unread(raw, error.refusal)
    return _converted(pairs, raw, growth, token)


def _unread(raw: bytes, refusal: Refusal) -> DialectEvent:
    try:
        named = _named_in(raw)
        credentials = Credentials(str(named.idsite), named.token_auth)
    except UNDECODABLE:
        credentials = NO_CREDENTIALS
    return DialectEvent(_without_secrets(raw), b"", refusal, credentials=credentials)


def _without_secrets(raw: bytes) -> bytes:
    for beginning, pattern in _SECRETS.items():
        if beginning in raw:
            raw = pattern.sub(b"", raw, _MOST_SECRETS)
    return raw


def _converted(pairs: Pairs, sent: bytes, growth: Growth, token: str) -> DialectEvent:
    """One event, for which the client sent these bytes."""
    fields = pairs.values
    credentials = _credentials(fields, token)
    refusal = None
    try:
        check_all_read(pairs)
        if fields.get("rec") != "1":
            raise BadEvent("rec: expected 1; Matomo records no other requests")
        raw = line = _line(fields, len(sent), growth)
    except Rejected as error:
        line, refusal = b"", error.refusal
        raw = kept_of({name: value for name, value in fields.items() if name != "token_auth"}, _without_secrets(sent))
    return DialectEvent(
        raw=raw,
        event=line,
        refusal=refusal,
        is_s2s=bool(credentials.secret),
        ip=fields.get("cip") or None,
        user_agent=fields.get("ua") or None,
        credentials=credentials,
    )


def _line(fields: dict[str, str], sent: int, growth: Growth) -> bytes:
    """The event as JSON; in its compact form if it would grow too much otherwise."""
    for is_compact in (False, True):
        line = line_of(event_of(fields, is_compact=is_compact))
        if growth.takes(sent, len(line)):
            return line
    raise grown()
