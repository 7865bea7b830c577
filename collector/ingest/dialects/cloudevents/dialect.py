"""CloudEvents 1.0 over HTTP, on `/event` by their headers: one event as JSON, a batch, or attributes in headers.

| attribute | member of our event |
|---|---|
| `source` and `id` | `event_id` |
| `type`, `source`, `subject`, `time` | `ea`, `ec`, `uid`, `et` |
| `data`, an object | `extra` |
| other `data`, `data_base64` | in `extra`, by their own names |
| extension attributes, `dataschema`, a `datacontenttype` other than JSON | `context` |
"""

import re
from base64 import b64encode
from collections.abc import Generator, Iterator
from http import HTTPStatus
from typing import Final

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from collector.errors import UNDECODABLE, BadEvent, Refusal, TooLarge
from collector.http.request import RequestHead
from collector.http.response import JSON, Response
from collector.ingest.bodies.splitting import Events, batch_in
from collector.ingest.dialects.cloudevents.event import Members, event_of, is_json_type
from collector.ingest.dialects.dialect import (
    LONG_BYTES,
    MOST_EVENTS,
    PAUSE,
    Credentials,
    DialectEvent,
    Result,
    refusal_response,
)
from collector.ingest.dialects.surrogates import mended
from collector.ingest.event import check_utf8, has_line_break, malformed
from collector.ingest.query import parse_pairs, unescaped
from collector.settings.tables import LARGEST_EVENT

_TYPE: Final = re.compile(rb"\s*application/cloudevents(?:-batch)?\+json\s*(?:;|\Z)", re.IGNORECASE)
_VERSION: Final = b"ce-specversion"
_USUAL: Final = (b"application/json", b"text/plain", None)
"""Content types for which no pattern needs to be tried."""
_ALL_REFUSED: Final[dict[str, object]] = {
    "code": BadEvent.code,
    "message": "no event of the request is valid; the dead letters have the reasons",
}
_PREFIX: Final = b"ce-"
_QUOTED_PAIR: Final = re.compile(r"\\(.)")
_UNPAID_BYTES: Final = 1024 + 64
"""Bytes by which the event of a request may be longer than its body."""
_decode_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_any: Final = msgspec.json.Decoder(Raw).decode
_encode: Final = msgspec.json.encode


def is_cloudevents(fields: dict[bytes, bytes]) -> bool:
    """Whether the headers of a request say that its body is CloudEvents."""
    return _VERSION in fields or (fields.get(b"content-type") not in _USUAL and _is_json_format(fields))


class CloudEvents:
    """The dialect of CloudEvents. It has no paths: the query of `/event` names the property."""

    name = "cloudevents"
    paths: tuple[str, ...] = ()
    pattern: re.Pattern[bytes] | None = None

    def credentials(self, head: RequestHead) -> Credentials:
        """The property in the query, by its public id or by portal and property. The key is in a header."""
        values = parse_pairs(head.query).values
        named = f"{_number(values, 'portal_id')}/{_number(values, 'prop_id')}"
        return Credentials(values.get("id", named), "")

    def retries(self, _head: RequestHead) -> bool:
        """True: programs send CloudEvents."""
        return True

    def response(self, _head: RequestHead, result: Result) -> Response:
        """How many events are stored now, were stored before, and are dead letters; 400 if all are dead letters."""
        found = {"accepted": result.stored, "duplicates": result.duplicates, "rejected": result.rejected}
        if result.rejected and not result.stored + result.duplicates:
            return Response(HTTPStatus.BAD_REQUEST, JSON, msgspec.json.encode(_ALL_REFUSED | found))
        return Response(HTTPStatus.OK, JSON, msgspec.json.encode(found))

    def refusal(self, _head: RequestHead, refusal: Refusal) -> Response:
        """The refusal as JSON."""
        return refusal_response(refusal)

    def events(self, head: RequestHead, body: bytes) -> Iterator[DialectEvent]:
        """The events of a request, whose inflated body is `body`. Raises BadEvent or TooLarge for the whole request."""
        is_s2s = parse_pairs(head.query).values.get("is_s2s") == "true"
        if not _is_json_format(head.fields):
            yield replace(_binary(head.fields, body), is_s2s=is_s2s)
            return
        sent = yield from _split(body)
        for raw in sent.events:
            yield replace(_structured(raw, is_line=sent.are_lines), is_s2s=is_s2s)


def _number(values: dict[str, str], name: str) -> str:
    """The digits of an id in a query, without zeros in front; as sent if it has other characters."""
    text = values.get(name, "")
    return text.lstrip("0") if text.isascii() and text.isdigit() else text


def _is_json_format(fields: dict[bytes, bytes]) -> bool:
    return _TYPE.match(fields.get(b"content-type", b"")) is not None


def _split(body: bytes) -> Generator[DialectEvent, None, Events]:
    """The events of a body, with a PAUSE if it is long: an array is a batch, whichever the content type says."""
    if not body.strip():
        raise BadEvent("the request carries no event")
    check_utf8(body)
    body = _readable(body)
    if len(body) > LONG_BYTES:
        yield PAUSE
    return batch_in(body, MOST_EVENTS, is_ndjson=False) or Events([body], not has_line_break(body))


def _readable(body: bytes) -> bytes:
    """JSON that our decoder reads. Raises BadEvent."""
    try:
        _decode_any(body)
    except msgspec.DecodeError:
        pass
    except RecursionError as error:
        raise malformed(error) from None
    else:
        return body
    body = mended(body)
    try:
        _decode_any(body)
    except UNDECODABLE as error:
        raise malformed(error) from None
    return body


def _structured(raw: bytes, *, is_line: bool) -> DialectEvent:
    """The event of a JSON object, or its refusal."""
    if len(raw) > LARGEST_EVENT:
        return _too_large(raw, f"the event is over the limit of {LARGEST_EVENT} bytes")
    try:
        return DialectEvent(raw, event_of(_decode_members(raw if is_line else msgspec.json.format(raw, indent=-1))))
    except msgspec.ValidationError:
        return DialectEvent(raw, b"", Refusal(BadEvent.code, "expected an event, a JSON object"))
    except UNDECODABLE as error:
        return DialectEvent(raw, b"", malformed(error).refusal)
    except BadEvent as error:
        return DialectEvent(raw, b"", error.refusal)


def _binary(fields: dict[bytes, bytes], body: bytes) -> DialectEvent:
    """The event whose attributes are headers, and whose data is the body; or its refusal."""
    if len(body) > LARGEST_EVENT:
        return _too_large(body, f"the data is over the limit of {LARGEST_EVENT} bytes")
    try:
        event = event_of(_attributes(fields) | _data(fields.get(b"content-type", b""), body))
    except BadEvent as error:
        return DialectEvent(body, b"", error.refusal)
    if len(event) > len(body) + _UNPAID_BYTES:
        cause = "as JSON, data in base64 and attributes in headers take too much room"
        return _too_large(body, f"{cause}: at most {_UNPAID_BYTES} bytes more than the body; send the event as JSON")
    return DialectEvent(body, event)


def _attributes(fields: dict[bytes, bytes]) -> Members:
    return {
        name[len(_PREFIX) :].decode("latin-1"): Raw(_encode(_attribute(value)))
        for name, value in fields.items()
        if name.startswith(_PREFIX)
    }


def _attribute(value: bytes) -> str:
    """The text in a header: quotes are removed, then percent escapes, and the bytes are UTF-8."""
    text = value.strip().decode("latin-1")
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = _QUOTED_PAIR.sub(r"\1", text[1:-1])
    return unescaped(text).decode("utf-8", "replace")


def _data(content_type: bytes, body: bytes) -> Members:
    """The members for the body and its type. Without a type it is JSON."""
    if not body:
        return {}
    media = content_type.decode("latin-1").strip()
    if media and not is_json_type(media):
        return {"datacontenttype": Raw(_encode(media)), "data_base64": Raw(b'"%b"' % b64encode(body))}
    check_utf8(body)
    body = _readable(body)
    return {"data": Raw(msgspec.json.format(body, indent=-1) if has_line_break(body) else body)}


def _too_large(raw: bytes, message: str) -> DialectEvent:
    return DialectEvent(raw, b"", Refusal(TooLarge.code, message))
