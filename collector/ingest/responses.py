"""Responses of each type, pure: values to status, headers and body."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from collector.dedup.layout import Place
from collector.errors import BadEvent, Refusal
from collector.http.response import JSON, NO_STORE, HeaderLines, Response, refusal_body, refusal_response
from collector.http.status import STATUS
from collector.ingest.options import ResponseType
from collector.ingest.session import Session

GIF: Final = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00"
    b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)
_JAVASCRIPT: Final = b"content-type: text/javascript; charset=utf-8\r\n" + NO_STORE
_GIF_LINES: Final = b"content-type: image/gif\r\n" + NO_STORE
_JSON: Final = ResponseType.JSON
_PIXEL: Final = ResponseType.PIXEL
"""The most frequent types; looking up a member of an Enum takes 0.04 us."""
_FSYNCED: Final = b"x-event-ack: fsync\r\n"
_SHIPPED: Final = b"x-event-ack: shipped\r\n"
DUPLICATE: Final[HeaderLines] = b"x-event-duplicate: true\r\n"
"""Nothing was stored, because the log has the event, or all events of the request, already."""
METHODS: Final = b"GET, HEAD, OPTIONS, POST"
_FULL_VERDICTS: Final = 100
_NOT_IN_A_SCRIPT: Final = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
)


def event_response(response_type: ResponseType, location: bytes | None, body: bytes, extra: HeaderLines) -> Response:
    """The response to an event. `body` is the result of `event_object`, `location` is a click's target."""
    if response_type is _JSON:
        return Response(200, JSON + extra, body)
    if response_type is _PIXEL:
        return Response(200, _GIF_LINES + extra, GIF)
    if response_type is ResponseType.JAVASCRIPT:
        return Response(200, _JAVASCRIPT + extra, b"_event_callback_data(%b);" % _in_script(body))
    return redirect_response(location or b"", extra)


def duplicate_headers(first: Place) -> HeaderLines:
    """The headers of a response to an event that is not stored again: `first` is the one with its id."""
    return DUPLICATE + stored_headers(b"%b-%d" % (first.log_id, first.sequence))


def stored_headers(event_id: bytes | None, *, is_shipped: bool = False) -> HeaderLines:
    """The headers that confirm that events are fsynced, or also delivered; a batch has no single id."""
    ack = _SHIPPED if is_shipped else _FSYNCED
    return ack if event_id is None else b"%bx-event-id: %b\r\n" % (ack, event_id)


class Verdicts(NamedTuple):
    """The fate of the events of a batch: the ids of the stored ones, and the indexes of the others."""

    ids: list[str]
    rejected: list[tuple[int, Refusal]]
    duplicates: list[int]
    token: bytes
    """The session token of the last valid event; empty if there is none."""


def batch_response(response_type: ResponseType, found: Verdicts, extra: HeaderLines) -> Response:
    """The verdicts of a batch; a 400, in JSON or as a pixel, if every event failed validation.

    The first rejected events are listed with all faults, the others with one, which takes some 80 bytes.
    """
    verdicts = [
        {"index": index, "field": field, "code": code, "message": message}
        for at, (index, refusal) in enumerate(found.rejected)
        for field, code, message in _verdicts(refusal)[: None if at < _FULL_VERDICTS else 1]
    ]
    body: dict[str, object] = {
        "type": "batch",
        "accepted": len(found.ids),
        "rejected": verdicts,
        "duplicates": found.duplicates,
        "ids": found.ids,
        "an_session": found.token.decode(),
    }
    if found.ids or found.duplicates:
        return event_response(response_type, None, msgspec.json.encode(body), extra)
    body |= {"code": BadEvent.code, "message": "every event of the batch failed validation"}
    return Response(
        STATUS[BadEvent.code],
        _content(response_type) + extra,
        GIF if response_type is _PIXEL else msgspec.json.encode(body),
    )


def _verdicts(refusal: Refusal) -> Sequence[tuple[str, object, str]]:
    """The field, code and message of each fault; those of the refusal, with no field, where it has none."""
    faults = [(fault.field, fault.code, fault.message) for fault in refusal.faults]
    return faults or [("", refusal.code, refusal.message)]


def event_object(session: Session, received_ms: int, aid: str, token: bytes) -> bytes:
    """The JSON object of a response, with its members in the contract's order."""
    return (
        b'{"dgs":"%d%%3A%d%%3A%d","au_gt":"%d","pv_id":"%d-%d","n_client_id":%d,"session_id":"%b","n_user":%d,'
        b'"au_id":"%d","type":"event","aid":%b,"client_id":"%d.%d","an_session":"%b"}'
    ) % (
        session.start,
        session.hits,
        session.is_new,
        session.au_first_seen,
        received_ms,
        session.au_id,
        session.is_new_client,
        b"%d" % session.sid if session.sid >= 0 else b"",
        session.is_new_user,
        session.au_id,
        msgspec.json.encode(aid),
        session.client_au_id,
        session.client_first_seen,
        token,
    )


def relay_response(next_sequence: int, chain: str | None = None, *, is_stored: bool) -> Response:
    """The response to another node: the next sequence to send, in decimal digits.

    If the chain of the event before it is known, a space and the chain follow.
    """
    headers = b"content-type: text/plain; charset=utf-8\r\n" + NO_STORE
    body = f"{next_sequence} {chain}" if chain else str(next_sequence)
    return Response(200, headers + _FSYNCED if is_stored else headers, body.encode())


def redirect_response(location: bytes, extra: HeaderLines) -> Response:
    """A click goes on; if its event was not stored, the headers of `stored_headers` are missing."""
    return Response(302, b"location: %b\r\n%b%b" % (location, NO_STORE, extra), b"")


def preflight_response(extra: HeaderLines, methods: bytes = METHODS) -> Response:
    """The response to `OPTIONS` of a path that serves these methods."""
    return Response(204, b"%ballow: %b\r\n%b" % (NO_STORE, methods, extra), b"")


def typed_refusal(response_type: ResponseType, refusal: Refusal, extra: HeaderLines = b"") -> Response:
    """The response to a refused request: JSON, but for a pixel, which stays a GIF with the same status."""
    return refusal_response(
        refusal, extra, _content(response_type), GIF if response_type is _PIXEL else refusal_body(refusal)
    )


def _content(response_type: ResponseType) -> HeaderLines:
    """The headers of a refusal's body."""
    return _GIF_LINES if response_type is _PIXEL else JSON


def _in_script(body: bytes) -> bytes:
    for plain, escaped in _NOT_IN_A_SCRIPT:
        if plain in body:
            body = body.replace(plain, escaped)
    return body
