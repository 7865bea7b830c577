"""Answers in four faces, pure: values to status, headers and body."""

from typing import Final

import msgspec
from msgspec import Struct

from collector.errors import BadEvent, Fault, NotFound, Refusal, SlowBody, TooLarge
from collector.ingest.session import Session
from collector.ingest.target import Face
from collector.problems import STATUS

Headers = bytes
"""Header lines as they go over the wire, each `name: value` and CRLF: to join them costs a third of a list of pairs."""

GIF: Final = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00"
    b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)
_TYPES: Final = {
    Face.JAVASCRIPT: b"text/javascript; charset=utf-8",
    Face.JSON: b"application/json",
    Face.PIXEL: b"image/gif",
}
_ALWAYS: Final[Headers] = b"cache-control: no-store\r\nx-content-type-options: nosniff\r\n"
_OF_FACE: Final[dict[Face, Headers]] = {
    face: b"content-type: %b\r\n%b" % (kind, _ALWAYS) for face, kind in _TYPES.items()
}
_JSON: Final = Face.JSON
_PIXEL: Final = Face.PIXEL
_OF_JSON: Final = _OF_FACE[_JSON]
_OF_PIXEL: Final = _OF_FACE[_PIXEL]
"""Most answers are one or the other; to hash a member of an Enum takes 0.2 us."""
_FSYNCED: Final = b"x-event-ack: fsync\r\n"
_SHIPPED: Final = b"x-event-ack: shipped\r\n"
METHODS: Final = b"GET, HEAD, OPTIONS, POST"
_FULL_VERDICTS: Final = 100
_CLOSING: Final = frozenset((SlowBody.code, TooLarge.code))
"""Refusals after which the rest of the body is not waited for."""
_NOT_IN_A_SCRIPT: Final = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
)


class Answer(Struct, frozen=True, gc=False):  # made in 0.1 us, a tuple in 0.25
    """A whole HTTP response; `headers` lack those of content length and connection."""

    status: int
    headers: Headers
    body: bytes
    closes: bool = False
    """Whether the connection ends behind it, whatever the client asked for."""


def event_answer(face: Face, where: bytes | None, body: bytes, extra: Headers) -> Answer:
    """The answer for an event. `body` is what `event_object` gives, `where` is a click's location."""
    if face is _JSON:
        return Answer(200, _OF_JSON + extra, body)
    if face is _PIXEL:
        return Answer(200, _OF_PIXEL + extra, GIF)
    if face is Face.JAVASCRIPT:
        return Answer(200, _OF_FACE[face] + extra, b"_event_callback_data(%b);" % _in_script(body))
    return redirect_answer(where or b"", extra)


def stored_headers(event_id: bytes | None, *, is_shipped: bool = False) -> Headers:
    """What says that events are fsynced, or that a sink has them too; a batch has no single id."""
    ack = _SHIPPED if is_shipped else _FSYNCED
    return ack if event_id is None else b"%bx-event-id: %b\r\n" % (ack, event_id)


def batch_answer(face: Face, ids: list[str], rejected: list[tuple[int, Refusal]], extra: Headers) -> Answer:
    """The verdicts of a batch: a 400, in JSON or as a pixel, where no event of it was good.

    Each of the first rejected events has all its faults named, the others one: an answer is not far longer than a body.
    """
    verdicts = [
        {"index": index, "field": fault.field, "code": refusal.code, "message": fault.message}
        for at, (index, refusal) in enumerate(rejected)
        for fault in (refusal.faults or (Fault("", refusal.message),))[: None if at < _FULL_VERDICTS else 1]
    ]
    body: dict[str, object] = {"type": "batch", "accepted": len(ids), "rejected": verdicts, "ids": ids}
    if ids:
        return event_answer(face, None, msgspec.json.encode(body), extra)
    body |= {"code": BadEvent.code, "message": "every event of the batch failed validation"}
    return _refusal(STATUS[BadEvent.code], face, msgspec.json.encode(body), extra)


def event_object(session: Session, received_ms: int, aid: str, token: bytes) -> bytes:
    """The JSON object of an answer, with its members in the contract's order."""
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


def relay_answer(next_sequence: int, chain: str | None = None, *, is_stored: bool) -> Answer:
    """The answer to another node: the sequence of its next event that is wanted here, in decimal digits.

    A space and the chain of the event before it follow where they are known.
    """
    headers = b"content-type: text/plain; charset=utf-8\r\n" + _ALWAYS
    body = f"{next_sequence} {chain}" if chain else str(next_sequence)
    return Answer(200, headers + _FSYNCED if is_stored else headers, body.encode())


def redirect_answer(where: bytes, extra: Headers) -> Answer:
    """A click goes on; where its event was not stored, the headers that would say so are missing."""
    return Answer(302, b"location: %b\r\n%b%b" % (where, _ALWAYS, extra), b"")


def preflight_answer(extra: Headers) -> Answer:
    """The answer to `OPTIONS`."""
    return Answer(204, b"%ballow: %b\r\n%b" % (_ALWAYS, METHODS, extra), b"")


def refusal_answer(face: Face, refusal: Refusal, extra: Headers = b"") -> Answer:
    """The answer for what was not stored: JSON, but for a pixel, which stays a GIF with the same status."""
    headers = extra
    if refusal.retry_seconds is not None:
        headers += b"retry-after: %d\r\n" % refusal.retry_seconds
    if refusal.allowed:
        headers += b"allow: %b\r\n" % refusal.allowed
    closes = refusal.code in _CLOSING
    return _refusal(STATUS[refusal.code], face, _refusal_body(refusal), headers, closes=closes)


def document_answer(body: bytes) -> Answer:
    """The answer for a JSON document of the collector's own, which any page may read."""
    return Answer(200, _OF_FACE[Face.JSON] + b"access-control-allow-origin: *\r\n", body)


def _refusal(status: int, face: Face, body: bytes, extra: Headers, *, closes: bool = False) -> Answer:
    shown = Face.PIXEL if face is Face.PIXEL else Face.JSON
    return Answer(status, _OF_FACE[shown] + extra, GIF if face is Face.PIXEL else body, closes)


def _refusal_body(refusal: Refusal) -> bytes:
    body: dict[str, object] = {"code": refusal.code, "message": refusal.message}
    if refusal.code == NotFound.code:  # the API page gives this body to the letter
        del body["code"]
    if refusal.faults:
        body["errors"] = refusal.faults
    return msgspec.json.encode(body)


def _in_script(body: bytes) -> bytes:
    for plain, escaped in _NOT_IN_A_SCRIPT:
        if plain in body:
            body = body.replace(plain, escaped)
    return body
