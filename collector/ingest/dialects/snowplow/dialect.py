"""Snowplow's trackers, pure: payloads of its tracker protocol, by POST as `data[]` or by GET as a query."""

import re
from collections.abc import Generator, Iterator
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from collector.errors import UNDECODABLE, BadEvent, Refusal, Rejected
from collector.http.request import RequestHead
from collector.http.response import Response
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
from collector.ingest.dialects.parameters import (
    Growth,
    check_all_read,
    grown,
    kept_of,
    line_of,
    parameters_in,
)
from collector.ingest.dialects.snowplow.table import event_of
from collector.ingest.dialects.surrogates import mended
from collector.ingest.options import ResponseType
from collector.ingest.query import parse_pairs
from collector.ingest.responses import event_response
from collector.settings.paths import DIALECT_PATHS

_SERVERS: Final = ("node-", "java-", "py-", "rb-", "php-", "golang-", "scala-", "rust-")
"""How `tv` begins for trackers that run on servers. Some of them send the platform `pc` unless told otherwise."""
_SUCCESS: Final = b'{"status":"success"}'
_FOR_GOOD: Final = frozenset({405, 413, 414, 415, 431})
"""Statuses that the trackers take for a passing fault: they would send the same batch, and nothing else, forever."""
_DROPPED: Final = 400
"""A status at which they drop a batch. The others are 401, 403, 410 and 422."""
_JSON_NAMES: Final = frozenset({"co", "ue_pr"})


class _Payload(Struct):
    """The body of a POST."""

    data: Raw


class _Named(Struct):
    """The member of an event that names its property."""

    aid: str = ""


_named_in: Final = msgspec.json.Decoder(_Named).decode
_payload_in: Final = msgspec.json.Decoder(_Payload).decode


class Snowplow:
    """The dialect, as `dialect.Dialect`. `post_paths` are those of trackers with a post path of their own."""

    name = "snowplow"
    pattern: re.Pattern[bytes] | None = None

    def __init__(self, *post_paths: str) -> None:
        self.paths: tuple[str, ...] = (*DIALECT_PATHS["snowplow"], *post_paths)

    def credentials(self, head: RequestHead) -> Credentials:
        """Those in `aid` of the query: `ID`, or `ID:SECRET`."""
        return Credentials.of(parse_pairs(head.query).values.get("aid", ""))

    def retries(self, head: RequestHead) -> bool:
        """True for a POST."""
        return head.method == "POST"

    def events(self, head: RequestHead, body: bytes) -> Iterator[DialectEvent]:
        """Those of the body, else the one of the query."""
        is_anonymous = b"sp-anonymous" in head.fields
        growth = Growth()
        if body:
            for raw in (yield from _payloads(body)):
                try:
                    fields = parameters_in(raw, _JSON_NAMES)
                except Rejected as error:
                    credentials = _credentials_in(raw)
                    yield DialectEvent(raw, b"", error.refusal, is_anonymous=is_anonymous, credentials=credentials)
                else:
                    yield _converted(raw, fields, growth, is_anonymous=is_anonymous)
        elif head.query:
            pairs = parse_pairs(head.query)
            check_all_read(pairs)
            yield _converted(head.query, pairs.values, growth, is_anonymous=is_anonymous)
        else:
            raise BadEvent("the request carries no event")

    def response(self, head: RequestHead, _result: Result) -> Response:
        """A JSON object for a POST, else a GIF."""
        response_type = ResponseType.JSON if head.method == "POST" else ResponseType.PIXEL
        return event_response(response_type, None, _SUCCESS, b"")

    def refusal(self, _head: RequestHead, refusal: Refusal) -> Response:
        """JSON. Where sending again is in vain, the status is one at which the trackers drop the batch."""
        response = refusal_response(refusal)
        return replace(response, status=_DROPPED) if response.status in _FOR_GOOD else response


def _payloads(body: bytes) -> Generator[DialectEvent, None, list[bytes]]:
    """The elements of `data`, UTF-8, after a PAUSE if the body is long. Raises BadEvent and TooLarge."""
    try:
        try:
            data = bytes(_payload_in(body).data)
        except msgspec.DecodeError:
            body = mended(body)
            data = bytes(_payload_in(body).data)
    except UNDECODABLE as error:
        raise BadEvent(f"expected a JSON object with data, an array of events: {error}") from None
    if len(body) > LONG_BYTES:
        yield PAUSE
    batch = batch_in(data, MOST_EVENTS, is_ndjson=False)
    if batch is None:
        raise BadEvent("data: expected an array of events")
    return batch.events


def _credentials_in(raw: bytes) -> Credentials:
    """Those of an event that can't be read otherwise."""
    try:
        return Credentials.of(_named_in(raw).aid)
    except UNDECODABLE:
        return NO_CREDENTIALS


def _converted(sent: bytes, fields: dict[str, str], growth: Growth, *, is_anonymous: bool) -> DialectEvent:
    """One event, for which the client sent these bytes."""
    credentials = Credentials.of(fields.get("aid", ""))
    refusal = None
    try:
        raw = line = _grown_line(event_of(fields), len(sent), growth)
    except Rejected as error:
        line, refusal = b"", error.refusal
        if credentials.secret:
            fields["aid"], sent = credentials.property_id, sent.replace(credentials.secret.encode(), b"")
        raw = kept_of(fields, sent)
    return DialectEvent(
        raw=raw,
        event=line,
        refusal=refusal,
        is_s2s=fields.get("p") == "srv" or fields.get("tv", "").startswith(_SERVERS),
        is_anonymous=is_anonymous,
        ip=None if is_anonymous else fields.get("ip") or None,
        user_agent=fields.get("ua") or None,
        credentials=credentials,
    )


def _grown_line(event: dict[str, Any], sent: int, growth: Growth) -> bytes:
    """The event as JSON. If it would grow too much, without the session's UUID, half of which is in `sid`."""
    line = line_of(event)
    if growth.takes(sent, len(line)):
        return line
    if "sid" in event:
        del event["extra"]["session_id"]
        line = line_of({name: value for name, value in event.items() if value != {}})
        if growth.takes(sent, len(line)):
            return line
    raise grown()
