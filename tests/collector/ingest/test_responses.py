"""The four response types: status, headers and body, for stored and for refused events."""

import json
from typing import Any

import pytest
from msgspec.structs import astuple, replace

from collector.errors import (
    BadEvent,
    BadTarget,
    Fault,
    FieldCode,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    Refusal,
    SlowBody,
    TooFast,
    TooLarge,
)
from collector.http.status import refusal_of
from collector.ingest.options import ResponseType
from collector.ingest.responses import (
    GIF,
    Verdicts,
    batch_response,
    event_object,
    event_response,
    preflight_response,
    redirect_response,
    stored_headers,
    typed_refusal,
)
from collector.ingest.session import Session
from tests.collector.live_intake import pairs_of
from wal.errors import LogFull, WalError

SESSION = Session(
    au_id=7,
    au_first_seen=1_576_000_000,
    client_au_id=9,
    client_first_seen=1_575_000_000,
    sid=6320,
    start=1_576_222_588,
    hits=3,
    last_hit=1_576_222_602,
    is_new=False,
    is_new_client=False,
    is_new_user=False,
)
ALWAYS = {b"cache-control": b"no-store", b"x-content-type-options": b"nosniff"}
COOKIE = (b"set-cookie", b"an_session=x")
COOKIE_LINE = b"set-cookie: an_session=x\r\n"
STORED = {b"x-event-ack": b"fsync", b"x-event-id": b"0123456789abcdef-42"}
EXTRA = b"x-event-ack: fsync\r\nx-event-id: 0123456789abcdef-42\r\n" + COOKIE_LINE
OBJECT = b'{"aid":"a-1"}'
WHERE = b"https://shop.example.com/p"
TYPES = {
    ResponseType.JAVASCRIPT: b"text/javascript; charset=utf-8",
    ResponseType.JSON: b"application/json",
    ResponseType.PIXEL: b"image/gif",
}


def _object(session: Session = SESSION, aid: str = "a-1") -> dict[str, Any]:
    value: dict[str, Any] = json.loads(event_object(session, 1_576_222_602_123, aid, b"tok-en_"))
    return value


@pytest.mark.parametrize(
    ("face", "body"),
    [
        (ResponseType.JAVASCRIPT, b'_event_callback_data({"aid":"a-1"});'),
        (ResponseType.JSON, OBJECT),
        (ResponseType.PIXEL, GIF),
    ],
)
def test_a_stored_event_gets_200_in_its_response_type(face: ResponseType, body: bytes) -> None:
    status, headers, sent = astuple(event_response(face, None, OBJECT, EXTRA))
    assert (status, sent) == (200, body)
    assert dict(pairs_of(headers)) == {b"content-type": TYPES[face], **ALWAYS, **STORED, **dict([COOKIE])}
    assert len(pairs_of(headers)) == len(dict(pairs_of(headers)))


def test_a_stored_click_is_redirected_to_its_location() -> None:
    status, headers, body = astuple(event_response(ResponseType.REDIRECT, WHERE, OBJECT, EXTRA))
    assert (status, body) == (302, b"")
    assert dict(pairs_of(headers)) == {b"location": WHERE, **ALWAYS, **STORED, **dict([COOKIE])}


def test_a_click_that_was_not_stored_is_redirected_and_claims_nothing() -> None:
    status, headers, body = astuple(redirect_response(WHERE, b""))
    assert (status, body) == (302, b"")
    assert pairs_of(headers) == [(b"location", WHERE), *ALWAYS.items()]


def test_the_members_of_the_object_have_the_order_and_the_types_of_the_contract() -> None:
    assert list(_object().items()) == [
        ("dgs", "1576222588%3A3%3A0"),
        ("au_gt", "1576000000"),
        ("pv_id", "1576222602123-7"),
        ("n_client_id", 0),
        ("session_id", "6320"),
        ("n_user", 0),
        ("au_id", "7"),
        ("type", "event"),
        ("aid", "a-1"),
        ("client_id", "9.1575000000"),
        ("an_session", "tok-en_"),
    ]


def test_a_first_hit_is_marked_new_with_integers() -> None:
    value = _object(replace(SESSION, is_new=True, is_new_client=True, is_new_user=True, hits=1))
    assert (value["dgs"], value["n_client_id"], value["n_user"]) == ("1576222588%3A1%3A1", 1, 1)
    assert type(value["n_client_id"]) is type(value["n_user"]) is int


@pytest.mark.parametrize(("sid", "shown"), [(-1, ""), (0, "0"), (2**63 - 1, "9223372036854775807")])
def test_the_session_id_is_a_string_and_empty_if_unknown(sid: int, shown: str) -> None:
    assert _object(replace(SESSION, sid=sid))["session_id"] == shown


@pytest.mark.parametrize("aid", ["", 'a"b\\c', "\x00\n\u2028", "</script>", "%s%b%%", "é\U0001f600"])
def test_any_aid_comes_back_as_sent(aid: str) -> None:
    assert _object(aid=aid)["aid"] == aid


@pytest.mark.parametrize("aid", ["</script><script>alert(1)//", "<!--", "]]>", "&lt;", "\u2028\u2029", "é <\u2028> &"])
def test_nothing_breaks_out_of_the_script(aid: str) -> None:
    body = event_response(ResponseType.JAVASCRIPT, None, event_object(SESSION, 0, aid, b""), b"").body
    assert not set(b"<>&") & set(body)
    assert not {"\u2028", "\u2029"} & set(body.decode())
    value = json.loads(body.removeprefix(b"_event_callback_data(").removesuffix(b");"))
    assert value["aid"] == aid


def test_json_is_not_escaped_as_a_script_is() -> None:
    assert event_response(ResponseType.JSON, None, b'{"aid":"<&>"}', b"").body == b'{"aid":"<&>"}'


def test_the_pixel_is_a_transparent_gif_of_one_pixel_in_43_bytes() -> None:
    assert len(GIF) == 43
    assert GIF[:6] == b"GIF89a"
    assert (GIF[6:8], GIF[8:10]) == (b"\x01\x00", b"\x01\x00")
    assert GIF[19:24] == b"!\xf9\x04\x01\x00", "a graphic control extension with the transparency flag"
    assert GIF[-1:] == b";"


@pytest.mark.parametrize("face", [ResponseType.JAVASCRIPT, ResponseType.JSON, ResponseType.REDIRECT])
def test_a_refusal_is_json_with_the_faults_of_fields(face: ResponseType) -> None:
    error = BadEvent(
        'not "as" it must be',
        (
            Fault("ea", FieldCode.MISSING, "missing"),
            Fault("sid", FieldCode.OUT_OF_RANGE, "expected `int` >= 0"),
        ),
    )
    status, headers, body = astuple(typed_refusal(face, refusal_of(error)))
    assert status == 400
    assert dict(pairs_of(headers)) == {b"content-type": b"application/json", **ALWAYS}
    assert list(json.loads(body).items()) == [
        ("code", "invalid_event"),
        ("message", 'not "as" it must be'),
        (
            "errors",
            [
                {"field": "ea", "code": "missing", "message": "missing"},
                {"field": "sid", "code": "out_of_range", "message": "expected `int` >= 0"},
            ],
        ),
    ]


@pytest.mark.parametrize(("status", "error"), [(400, BadTarget("x")), (404, NotFound()), (503, LogFull("x"))])
def test_a_refused_pixel_stays_a_gif_with_the_status(status: int, error: Exception) -> None:
    answer = typed_refusal(ResponseType.PIXEL, refusal_of(error))
    assert (answer.status, answer.body) == (status, GIF)
    assert dict(pairs_of(answer.headers))[b"content-type"] == b"image/gif"


@pytest.mark.parametrize("face", [ResponseType.JAVASCRIPT, ResponseType.JSON, ResponseType.REDIRECT])
def test_not_found_is_exactly_its_message(face: ResponseType) -> None:
    assert json.loads(typed_refusal(face, refusal_of(NotFound())).body) == {"message": "404 not found"}


def test_an_unserved_method_gets_the_list_of_served_ones() -> None:
    headers = dict(pairs_of(typed_refusal(ResponseType.JSON, refusal_of(MethodNotAllowed(b"GET, HEAD"))).headers))
    assert headers[b"allow"] == b"GET, HEAD"


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (LogFull("x"), b"1"),
        (Overloaded("x"), b"1"),
        (TooFast("x", 7), b"7"),
        (BadEvent("x"), None),
        (NotFound(), None),
        (SlowBody("x"), None),
    ],
)
@pytest.mark.parametrize("face", list(ResponseType))
def test_a_retryable_refusal_has_retry_after(face: ResponseType, error: Exception, seconds: bytes | None) -> None:
    assert dict(pairs_of(typed_refusal(face, refusal_of(error)).headers)).get(b"retry-after") == seconds


@pytest.mark.parametrize("face", list(ResponseType))
def test_a_refusal_has_the_headers_of_every_response(face: ResponseType) -> None:
    assert COOKIE in pairs_of(typed_refusal(face, refusal_of(BadEvent("x")), COOKIE_LINE).headers)


def test_an_error_of_the_collector_shows_none_of_its_paths() -> None:
    body = typed_refusal(ResponseType.JSON, refusal_of(LogFull("/var/lib/collector/00: no room"))).body
    assert list(json.loads(body)) == ["code", "message"]
    assert b"/var" not in body


@pytest.mark.parametrize("error", [BadEvent("x"), WalError("x"), NotFound()])
@pytest.mark.parametrize("face", list(ResponseType))
def test_no_refusal_claims_that_an_event_is_stored(face: ResponseType, error: Exception) -> None:
    assert not {b"x-event-ack", b"x-event-id"} & set(dict(pairs_of(typed_refusal(face, refusal_of(error)).headers)))


FAULTS = (Fault("ea", FieldCode.MISSING, "missing"), Fault("sid", FieldCode.WRONG_TYPE, "expected `int`"))
REJECTED: list[tuple[int, Refusal]] = [
    (1, BadEvent("the event failed validation", FAULTS).refusal),
    (3, TooLarge("too long").refusal),
]
VERDICTS = [
    {"index": 1, "field": "ea", "code": "missing", "message": "missing"},
    {"index": 1, "field": "sid", "code": "wrong_type", "message": "expected `int`"},
    {"index": 3, "field": "", "code": "too_large", "message": "too long"},
]


def test_the_response_to_a_batch_has_the_verdict_on_every_event() -> None:
    status, headers, body = astuple(
        batch_response(ResponseType.JSON, Verdicts(["x-4", "x-5"], REJECTED, [4], b"t"), COOKIE_LINE)
    )
    assert (status, dict(pairs_of(headers))) == (
        200,
        dict([(b"content-type", b"application/json"), *ALWAYS.items(), COOKIE]),
    )
    assert list(json.loads(body).items()) == [
        ("type", "batch"),
        ("accepted", 2),
        ("rejected", VERDICTS),
        ("duplicates", [4]),
        ("ids", ["x-4", "x-5"]),
        ("an_session", "t"),
    ]


def test_a_batch_gets_its_response_type() -> None:
    script = batch_response(ResponseType.JAVASCRIPT, Verdicts(["x-4"], [(0, BadEvent("<b>").refusal)], [], b""), b"")
    assert script.body.startswith(b'_event_callback_data({"type":"batch","accepted":1,')
    assert b"<b>" not in script.body
    assert astuple(batch_response(ResponseType.PIXEL, Verdicts(["x-4"], REJECTED, [], b""), b""))[::2] == (200, GIF)


@pytest.mark.parametrize("face", [ResponseType.JAVASCRIPT, ResponseType.JSON])
def test_a_batch_without_a_valid_event_is_refused_in_json(face: ResponseType) -> None:
    status, headers, body = astuple(batch_response(face, Verdicts([], REJECTED, [], b""), COOKIE_LINE))
    value = json.loads(body)
    assert (status, dict(pairs_of(headers))[b"content-type"]) == (400, b"application/json")
    assert (value["accepted"], value["rejected"], value["ids"]) == (0, VERDICTS, [])
    assert value["code"] == "invalid_event"
    assert value["message"]
    assert COOKIE in pairs_of(headers)


def test_a_batch_whose_events_are_all_stored_already_is_no_failure() -> None:
    assert batch_response(ResponseType.JSON, Verdicts([], [], [0, 1], b"t"), b"").status == 200


def test_a_batch_without_a_valid_event_is_refused_with_a_pixel_if_requested() -> None:
    assert astuple(batch_response(ResponseType.PIXEL, Verdicts([], REJECTED, [], b""), b""))[::2] == (400, GIF)


def test_one_event_is_named_by_its_id_and_a_batch_is_only_acknowledged() -> None:
    assert pairs_of(stored_headers(b"x-4")) == [(b"x-event-ack", b"fsync"), (b"x-event-id", b"x-4")]
    assert pairs_of(stored_headers(None)) == [(b"x-event-ack", b"fsync")]


def test_the_response_to_a_preflight_has_no_body_and_the_methods() -> None:
    status, headers, body = astuple(preflight_response(COOKIE_LINE))
    assert (status, body, dict(pairs_of(headers))[b"allow"]) == (204, b"", b"GET, HEAD, OPTIONS, POST")
    assert COOKIE in pairs_of(headers)
