"""The bodies of PostHog's SDKs, pure: a batch, an array of events, or one event, as JSON or wrapped.

The content type is ignored, because the SDKs send any of these with any of them. A wrapped body is a form whose
`data` is JSON or its base64, or base64 alone; gzip may be inside the base64. JSON may be wrapped in `{"data":…}` too.
"""

from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Generator
from typing import Final, NamedTuple

import msgspec
from msgspec import Raw, Struct

from collector.errors import BadEvent, TooLarge
from collector.http.inflate import inflate
from collector.ingest.bodies.splitting import batch_in
from collector.ingest.dialects.dialect import LONG_BYTES, MOST_EVENTS, PAUSE, DialectEvent
from collector.ingest.dialects.surrogates import mended
from collector.ingest.event import check_utf8, has_line_break, malformed
from collector.ingest.query import unescaped
from collector.long_work import joined


class Sent(NamedTuple):
    """The events of a request, not decoded yet, and the members that they share."""

    events: list[bytes]
    are_lines: bool
    """Whether none has a line break."""
    key: Raw
    sent_at: Raw


_Reading = Generator[DialectEvent, None, Sent]
_Text = Generator[DialectEvent, None, bytes]


class _Body(Struct, gc=False):
    """The members of a body that count. The others are those of an event, or about the transport."""

    event: Raw = Raw()
    batch: Raw = Raw()
    data: Raw = Raw()
    api_key: Raw = Raw()
    token: Raw = Raw()
    sent_at: Raw = Raw()


_MOST_WRAPPED_BYTES: Final = 512 << 10
"""Bytes of a wrapped body: eight times the limit of a beacon."""
_INFLATION_RATIO: Final = 100
_MOST_PAIRS: Final = 16
_SPACE: Final = b" \t\r\n"
_JSON: Final = (b"{", b"[")
_GZIP: Final = b"\x1f\x8b"
_TO_BASE64: Final = bytes.maketrans(b"-_ ", b"+/+")
"""From base64 for URLs, and from a form whose `+` was not escaped."""
_SENT_MS: Final = b"_="
_ABSENT: Final = (b"", b"null")
_decode_body: Final = msgspec.json.Decoder(_Body).decode
_decode_text: Final = msgspec.json.Decoder(str).decode


def first_of(*values: Raw) -> Raw:
    """The first value that is neither missing nor null; an empty one if there is none."""
    return next((value for value in values if bytes(value) not in _ABSENT), Raw())


def read_body(body: bytes, query: bytes) -> _Reading:
    """The events in a body, or in the query if the body is empty; with pauses if it is long.

    Raises BadEvent and TooLarge.
    """
    text = body.strip(_SPACE) or query
    if text[:1] not in _JSON:
        text = yield from _unwrapped(text)
    sent = yield from _read(text, is_inner=False)
    return sent if sent.sent_at or not query else sent._replace(sent_at=_sent_ms(query))


def _read(text: bytes, *, is_inner: bool) -> _Reading:
    check_utf8(text)
    if text[:1] == b"[":
        text = b'{"batch":%b}' % text
    try:
        return (yield from _split(text, is_inner=is_inner))
    except msgspec.DecodeError:
        pass
    except RecursionError as error:
        raise malformed(error) from None
    try:
        return (yield from _split(mended(text), is_inner=is_inner))
    except msgspec.DecodeError as error:
        raise malformed(error) from None


def _split(text: bytes, *, is_inner: bool) -> _Reading:
    body = _decode_body(text)
    if len(text) > LONG_BYTES:
        yield PAUSE
    key = first_of(body.api_key, body.token)
    if body.event or not (body.batch or body.data):
        return Sent([text], not has_line_break(text), key, body.sent_at)
    if body.batch:
        events = batch_in(bytes(body.batch), MOST_EVENTS, is_ndjson=False)
        if events is None:
            raise BadEvent("batch: expected an array of events")
        return Sent(events.events, events.are_lines, key, body.sent_at)
    if is_inner:
        raise BadEvent("data: expected events, found `data` once more")
    text = yield from _inner(bytes(body.data))
    inner = yield from _read(text, is_inner=True)
    return inner._replace(key=inner.key or key, sent_at=inner.sent_at or body.sent_at)


def _inner(data: bytes) -> _Text:
    """The JSON in the member `data`."""
    if data[:1] in _JSON:
        return data
    if data[:1] != b'"':
        raise BadEvent("data: expected an event, an array of events, or base64 of these")
    text = _decode_text(data).encode().strip(_SPACE)
    return text if text[:1] in _JSON else (yield from _unwrapped(text))


def _unwrapped(text: bytes) -> _Text:
    """The JSON in a form, or in base64."""
    if not text:
        raise BadEvent("the request carries no event")
    if len(text) > _MOST_WRAPPED_BYTES:
        raise TooLarge(f"a body in a form or in base64 is over the limit of {_MOST_WRAPPED_BYTES} bytes; send JSON")
    found = _form_data(text)
    if found[:1] in _JSON:
        return found
    try:
        found = a2b_base64(found.translate(_TO_BASE64) + b"==")
    except Base64Error:
        found = b""
    if found.startswith(_GZIP):
        found = yield from joined(inflate(found, b"gzip", _MOST_WRAPPED_BYTES, _INFLATION_RATIO), PAUSE)
    found = found.strip(_SPACE)
    if found[:1] not in _JSON:
        raise BadEvent("expected JSON, or a form whose `data` is JSON or its base64")
    return found


def _form_data(text: bytes) -> bytes:
    """The `data` of a form; the text itself if it is not a form."""
    for pair in text.split(b"&", _MOST_PAIRS):
        if pair.startswith(b"data="):
            return unescaped(pair[5:].replace(b"+", b" ").decode("latin-1")).strip(_SPACE)
    return text


def _sent_ms(query: bytes) -> Raw:
    """The client's clock in the query, in Unix ms, as older posthog-js tell it."""
    for pair in query.split(b"&", _MOST_PAIRS):
        digits = pair.removeprefix(_SENT_MS)
        if digits is not pair and digits.isdigit() and len(digits) == len("1700000000000"):
            return Raw(digits)
    return Raw()
