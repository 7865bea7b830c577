"""Snowplow: what each parameter becomes, what is refused, and that no request breaks the module."""

import base64
import json
import uuid
from typing import Any, Final
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.errors import BadEvent, HeadersTooLarge, NotFound, Refusal, TooFast, TooLarge, UnsupportedMedia
from collector.http.status import UNAVAILABLE
from collector.ingest.dialects.dialect import DialectEvent, Result
from collector.ingest.dialects.snowplow.dialect import Snowplow
from collector.ingest.responses import GIF
from tests.collector.ingest.dialects.parameter_dialects import (
    JSON_VALUES,
    expected,
    head_of,
    is_refused_or_sound,
    one,
    ours,
    recorded,
    told,
)
from tests.collector.ingest.dialects.reading import events_in

SNOWPLOW: Final = Snowplow()
TP2: Final = "/com.snowplowanalytics.snowplow/tp2"
POST: Final = head_of("POST", TP2)
RESULT: Final = Result(stored=1, duplicates=0, rejected=0)
ENTITY: Final = {"schema": "iglu:com.acme/user/jsonschema/1-0-0", "data": {"type": "tester"}}
SID: Final = "5f2a9a50-8cf0-41bd-b23e-10b96e40000d"


def _envelope(name: str, data: object) -> str:
    return json.dumps({"schema": f"iglu:com.snowplowanalytics.snowplow/{name}/jsonschema/1-0-0", "data": data})


def _body(*events: object) -> bytes:
    return json.dumps({"schema": "iglu:x", "data": events}).encode()


def _event(**parameters: object) -> dict[str, Any]:
    """Our event of one Snowplow event, sent by POST."""
    return ours(SNOWPLOW, POST, _body(parameters))


def _refused(*events: object) -> list[bool]:
    return [each.refusal is not None for each in SNOWPLOW.events(POST, _body(*events))]


@pytest.mark.parametrize("name", ["snowplow-node-post", "snowplow-browser-post", "snowplow-browser-get"])
def test_every_recorded_request_gives_the_events_written_down_for_it(name: str) -> None:
    requests = recorded(name)
    found = [[told(event) for event in SNOWPLOW.events(head, body)] for head, body in requests]
    assert found == expected(name)
    for head, body in requests:
        assert len(is_refused_or_sound(SNOWPLOW, head, body)) > 0


@pytest.mark.parametrize(
    ("sent", "event"),
    [
        ({"e": "pv", "url": "u"}, {"ea": "view", "ec": "page", "context": {"url": "u"}}),
        (
            {"e": "pp", "pp_mix": "0", "pp_may": "9"},
            {"ea": "ping", "ec": "page", "extra": {"pp_mix": "0", "pp_may": "9"}},
        ),
        (
            {"e": "se", "se_ca": "c", "se_ac": "a", "se_la": "l", "se_pr": "p", "se_va": "1.5"},
            {"ea": "a", "ec": "c", "extra": {"label": "l", "property": "p", "value": "1.5"}},
        ),
        (
            {"e": "ue", "ue_pr": _envelope("unstruct_event", ENTITY)},
            {"ea": "user", "ec": "com.acme", "extra": ENTITY},
        ),
        (
            {"e": "tr", "tr_id": "o-1", "tr_tt": "27.5"},
            {"ea": "transaction", "ec": "order", "extra": {"tr_id": "o-1", "tr_tt": "27.5"}},
        ),
        (
            {"e": "ti", "ti_id": "o-1", "ti_sk": "864115", "ti_nm": "Tivi", "ti_pr": "19", "ti_qu": "1", "ti_ca": "tv"},
            {
                "ea": "transaction",
                "ec": "item",
                "items": [{"id": "864115", "name": "Tivi", "price": "19", "quantity": "1"}],
                "extra": {"ti_id": "o-1", "ti_ca": "tv"},
            },
        ),
    ],
)
def test_each_kind_of_event_has_its_row_of_the_table(sent: dict[str, str], event: dict[str, Any]) -> None:
    assert _event(**sent) == event
    assert ours(SNOWPLOW, head_of("GET", f"/i?{urlencode(sent)}")) == event


@pytest.mark.parametrize("name", ["url", "page", "refr", "lang", "res", "vp", "ds", "tz", "cs", "cd", "tv", "tna", "p"])
def test_a_parameter_of_the_page_goes_into_the_context(name: str) -> None:
    assert _event(e="pv", **{name: "v"}) == {"ea": "view", "ec": "page", "context": {name: "v"}}


def test_ids_and_times_have_fields_of_their_own() -> None:
    sent = {"e": "pv", "aid": "shop", "eid": "id-1", "dtm": "1795833680777", "stm": "1795833680779", "uid": "u"}
    made = {"event_id": "id-1", "et": "1795833680777", "sent_at": "1795833680779", "uid": "u"}
    assert _event(**sent) == {"ea": "view", "ec": "page", **made}


def test_a_long_event_id_is_stored_as_its_digest() -> None:
    assert len(_event(e="pv", eid="x" * 101)["event_id"]) == 32


@pytest.mark.parametrize(
    ("sent", "aid", "extra"),
    [
        ({"duid": "d", "nuid": "n", "tnuid": "t"}, "d", {"nuid": "n", "tnuid": "t"}),
        ({"tnuid": "t", "nuid": "n"}, "n", {"tnuid": "t"}),
        ({"tnuid": "t"}, "t", None),
    ],
)
def test_the_device_is_duid_else_nuid_else_tnuid(sent: dict[str, str], aid: str, extra: dict[str, str] | None) -> None:
    event = _event(e="pv", **sent)
    assert (event["aid"], event.get("extra")) == (aid, extra)


@pytest.mark.parametrize("sid", [SID, SID.upper(), "ffffffff-ffff-ffff-ffff-ffffffffffff"])
def test_the_session_is_the_first_63_bits_of_its_uuid(sid: str) -> None:
    event = _event(e="pv", sid=sid, vid="3")
    assert event["sid"] == uuid.UUID(sid).int >> 65
    assert event["extra"] == {"session_id": sid, "session_index": "3"}


@pytest.mark.parametrize("sid", ["7", SID[:-1], SID + "0", "5f2a9a508cf041bdb23e10b96e40000d", "٣" * 36])
def test_a_session_that_is_no_uuid_stays_text(sid: str) -> None:
    assert _event(e="pv", sid=sid) == {"ea": "view", "ec": "page", "extra": {"session_id": sid}}


@pytest.mark.parametrize("padding", ["", "=", "=="])
def test_entities_and_data_are_read_from_base64url_too(padding: str) -> None:
    for filling in ("a", "bb", "ccc", "é?>~"):
        entity = {**ENTITY, "data": {"filling": filling}}
        contexts, event = (
            base64.urlsafe_b64encode(text.encode()).decode().rstrip("=") + padding
            for text in (_envelope("contexts", [entity]), _envelope("unstruct_event", entity))
        )
        sent = {"e": "ue", "cx": contexts, "ue_px": event}
        made = {"ea": "user", "ec": "com.acme", "context": {"entities": [entity]}, "extra": entity}
        assert _event(**sent) == made
        assert ours(SNOWPLOW, head_of("GET", f"/i?{urlencode(sent)}")) == made


def test_plain_base64_in_an_unescaped_query_is_read() -> None:
    text = _envelope("contexts", [{**ENTITY, "data": "~~~???ÿÿ"}])
    coded = base64.b64encode(text.encode()).decode()
    assert "+" in coded or "/" in coded
    event = ours(SNOWPLOW, head_of("GET", f"/i?e=pv&cx={coded}"))
    assert event["context"]["entities"][0]["data"] == "~~~???ÿÿ"


def test_json_itself_in_place_of_its_text_is_read() -> None:
    contexts = json.loads(_envelope("contexts", [ENTITY]))
    assert _event(e="pv", co=contexts)["context"] == {"entities": [ENTITY]}


def test_a_line_break_in_entities_leaves_the_event_on_one_line() -> None:
    contexts = json.dumps(json.loads(_envelope("contexts", [{**ENTITY, "data": {"a": [1, "x\ny"]}}])), indent=1)
    event = one(SNOWPLOW, POST, _body({"e": "pv", "co": contexts.replace("\n", "\r\n")}))
    assert b"\n" not in event.event
    assert b"\r" not in event.event
    assert json.loads(event.event)["context"]["entities"][0]["data"] == {"a": [1, "x\ny"]}


def test_numbers_stand_for_their_text_and_null_for_nothing() -> None:
    event = _event(e="pv", vid=3, cd=24.50, cookie=True, refr=None, page="")
    assert event == {
        "ea": "view",
        "ec": "page",
        "context": {"cd": "24.5"},
        "extra": {"session_index": "3", "cookie": "true"},
    }


def test_an_unknown_parameter_stays_in_extra() -> None:
    assert _event(e="pv", f_pdf="1", se_ca="c")["extra"] == {"f_pdf": "1", "se_ca": "c"}


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"e": "xx"},
        {"e": ""},
        {"e": 5},
        {"e": None},
        {"e": ["pv"]},
        {"e": "pv", "url": {}},
        {"e": "ue"},
        {"e": "ue", "ue_pr": "{"},
        {"e": "ue", "ue_pr": "[]"},
        {"e": "ue", "ue_pr": '{"schema":5,"data":{}}'},
        {"e": "ue", "ue_pr": json.dumps(ENTITY)},
        {"e": "ue", "ue_pr": _envelope("unstruct_event", {})},
        {"e": "ue", "ue_pr": _envelope("unstruct_event", {"schema": "com.acme/user", "data": {}})},
        {"e": "ue", "ue_pr": _envelope("unstruct_event", {"schema": "iglu:com.acme/user/jsonschema/1", "data": {}})},
        {"e": "ue", "ue_pr": _envelope("unstruct_event", {"schema": "iglu:a/b c/jsonschema/1-0-0", "data": {}})},
        {"e": "ue", "ue_pr": _envelope("unstruct_event", {"schema": "iglu:a/b/c/1-0-0\n", "data": {}})},
        {"e": "ue", "ue_pr": _envelope("unstruct_event", {"schema": "iglu:a/b/c/d/1-0-0", "data": {}})},
        {"e": "ue", "ue_px": "!!!"},
        {"e": "ue", "ue_px": "e"},
        {"e": "ue", "ue_px": "e=30"},
        {"e": "ue", "ue_px": "_w=="},
        {"e": "ue", "ue_px": "é"},
        {"e": "pv", "co": "nope"},
        {"e": "pv", "co": _envelope("contexts", {})},
        {"e": "pv", "co": _envelope("contexts", [5])},
        {"e": "pv", "co": _envelope("contexts", [{"schema": "x", "data": 1}])},
        {"e": "pv", "co": _envelope("unstruct_event", [])},
        {"e": "pv", "co": "[" * 10_000},
        {"e": "pv", "cx": "a" * 1001},
        {f"p{at}": "v" for at in range(1001)},
        5,
        None,
        "text",
        [],
        [["e", "pv"]],
    ],
)
def test_a_bad_event_loses_none_of_its_neighbours(bad: object) -> None:
    assert _refused({"e": "pv"}, bad, {"e": "pp"}) == [False, True, False]


def test_a_refused_event_keeps_its_bytes_and_names_its_property() -> None:
    event = one(SNOWPLOW, POST, b'{"data":[ {"e":"xx","aid":"shop"} ]}')
    assert event.raw == b'{"e":"xx","aid":"shop"}'
    assert event.credentials.property_id == "shop"
    assert event.refusal == Refusal("invalid_event", "e: expected one of pv, pp, se, ue, tr, ti, found xx")


def test_a_refused_event_of_a_query_is_kept_as_json() -> None:
    event = one(SNOWPLOW, head_of("GET", "/i?e=xx&aid=shop%3As3cret&page=%22"))
    assert json.loads(event.raw) == {"e": "xx", "aid": "shop", "page": '"'}


@pytest.mark.parametrize("kind", ["pv", "xx"])
def test_a_secret_in_aid_is_nowhere_but_in_the_credentials(kind: str) -> None:
    event = one(SNOWPLOW, POST, _body({"e": kind, "aid": "shop:s3cret"}))
    assert event.credentials == ("shop", "s3cret")
    assert b"s3cret" not in event.raw + event.event
    assert SNOWPLOW.credentials(head_of("GET", "/i?e=pv&aid=shop%3As3cret")) == ("shop", "s3cret")


def test_a_request_without_aid_names_no_property() -> None:
    assert SNOWPLOW.credentials(POST) == ("", "")
    assert one(SNOWPLOW, POST, _body({"e": "pv"})).credentials == ("", "")


@pytest.mark.parametrize(
    ("sent", "is_s2s"),
    [
        ({"p": "srv"}, True),
        ({"p": "web", "tv": "js-4.10.1"}, False),
        ({"p": "mob", "tv": "andr-6.0.0"}, False),
        ({"p": "pc", "tv": "py-1.0.1"}, True),
        ({"tv": "java-2.1.0"}, True),
        ({"tv": "javascript"}, False),
        ({}, False),
    ],
)
def test_an_event_of_a_server_is_s2s(sent: dict[str, str], *, is_s2s: bool) -> None:
    assert one(SNOWPLOW, POST, _body({"e": "pv", **sent})).is_s2s is is_s2s


def test_address_and_user_agent_are_taken_out_of_the_event() -> None:
    event = one(SNOWPLOW, POST, _body({"e": "pv", "ip": "203.0.113.7", "ua": "Mozilla/5.0"}))
    assert (event.ip, event.user_agent) == ("203.0.113.7", "Mozilla/5.0")
    assert json.loads(event.event) == {"ea": "view", "ec": "page"}


@pytest.mark.parametrize("body", [_body({"e": "pv", "ip": "203.0.113.7"}), _body({"e": "xx", "ip": "1"}), _body(5)])
def test_an_anonymous_request_gives_no_address(body: bytes) -> None:
    event = one(SNOWPLOW, head_of("POST", TP2, SP_Anonymous="*"), body)
    assert (event.is_anonymous, event.ip) == (True, None)
    assert one(SNOWPLOW, POST, body).is_anonymous is False


@pytest.mark.parametrize(
    "body",
    [b"{", b"5", b"null", b"[]", b'{"data":5}', b'{"data":{}}', b'{"data":[]}', b'{"e":"pv"}', b"\xff", b'{"data":["'],
)
def test_a_body_without_an_array_of_events_is_refused(body: bytes) -> None:
    with pytest.raises(BadEvent):
        list(SNOWPLOW.events(POST, body))


def test_half_an_emoji_costs_no_event_of_its_batch() -> None:
    body = b'{"data":[{"e":"pv","aid":"a","page":"cut \\ud83d"},{"e":"pv","aid":"a"}]}'
    events = events_in(SNOWPLOW, POST, body)
    assert [event.refusal for event in events] == [None, None]
    assert "cut \ufffd".encode() in events[0].event


def test_a_request_without_body_and_query_is_refused() -> None:
    with pytest.raises(BadEvent):
        list(SNOWPLOW.events(head_of("GET", "/i"), b""))


def test_a_post_with_its_event_in_the_query_is_read() -> None:
    assert ours(SNOWPLOW, head_of("POST", f"{TP2}?e=pv")) == {"ea": "view", "ec": "page"}


def test_2500_events_are_read_and_one_more_is_too_large() -> None:
    assert len(list(SNOWPLOW.events(POST, _body(*[{"e": "pv"}] * 2500)))) == 2500
    with pytest.raises(TooLarge):
        list(SNOWPLOW.events(POST, _body(*[{"e": "pv"}] * 2501)))


def test_too_large_an_event_is_one_bad_event() -> None:
    events = events_in(SNOWPLOW, POST, _body({"e": "pv"}, {"e": "pv", "page": "x" * (400 << 10)}, {"e": "pp"}))
    assert [each.refusal and each.refusal.code for each in events] == [None, "too_large", None]


HOSTILE: Final = {
    "deep": b'{"data":[{"e":' + b"[" * 20_000,
    "deep data": b'{"data":[' + b"[" * 500 + b"]" * 500 + b"]}",
    "a million elements": b'{"data":[1' + b",1" * 1_000_000 + b"]}",
    "a million members": b'{"data":[{"e":"pv"' + b',"a":"b"' * 100_000 + b"}]}",
    "raw line breaks": b'{"data":[\n{"e"\r\n:\n"pv"\n}\n,\r{"e":"pv",\n"page":\r"x"}]}',
    "a line break in a text": b'{"data":[{"e":"pv","page":"a\nb"}]}',
    "invalid UTF-8": b'{"data":[{"e":"pv","page":"\xff"}]}',
    "half a surrogate": b'{"data":[{"e":"pv","page":"\\ud800"}]}',
    "half a surrogate in entities": b'{"data":[{"e":"pv","co":"{\\"data\\":\\"\\\\ud800\\"}"}]}',
    "repeated members": b'{"data":[{"e":"xx","e":"pv"}],"data":[{"e":"pp"}]}',
    "repeated members of the body": b'{"data":5,"data":[{"e":"pp"}]}',
    "deep entities": _body({"e": "pv", "co": _envelope("contexts", [{**ENTITY, "data": 0}])[:-1] + "\n" + "[" * 900}),
    "all that grows": _body(*[{"e": "tr", "sid": SID, "vid": "1", "eid": "x", "stm": "1", "p": "web"}] * 2000),
    "numbers": _body(*[{str(at): 1 for at in range(300)} | {"e": "pv"}] * 20),
    "long names": _body(
        *[
            {
                "e": "ue",
                "ue_pr": _envelope("unstruct_event", {"schema": f"iglu:{'v' * 99}/{'n' * 99}/j/1-0-0", "data": 0}),
            }
        ]
        * 100
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_body_gives_sound_events_or_is_refused(name: str) -> None:
    is_refused_or_sound(SNOWPLOW, POST, HOSTILE[name])


QUERIES: Final = {
    "malformed escapes": b"e=pv&page=%zz%&url=%2&refr=%E9",
    "raw bytes": b"e=pv&page=\xff\x01\x7f&url=\xc3\xa9",
    "repeated": b"e=pv&e=xx&page=1&page=2",
    "many": b"e=pv" + b"&a=1" * 5000,
    "many names": b"e=pv&" + b"&".join(b"%d=1" % at for at in range(5000)),
    "names that grow": b"e=pv&" + b"&".join(b"%x=1" % at for at in range(900)),
    "bad base64": b"e=ue&ue_px=%%%&cx=e30",
    "no names": b"=&=1&&&e=pv",
    "control characters": b"e=pv&page=" + b"%01" * 3000,
}


@pytest.mark.parametrize("name", QUERIES)
def test_a_hostile_query_gives_a_sound_event_or_is_refused(name: str) -> None:
    is_refused_or_sound(SNOWPLOW, head_of("GET", b"/i?" + QUERIES[name]), b"")


def test_the_first_of_repeated_parameters_counts() -> None:
    assert ours(SNOWPLOW, head_of("GET", "/i?e=pv&e=xx&page=1&page=2"))["context"] == {"page": "1"}


def test_the_uuid_of_the_session_is_left_out_where_a_batch_of_small_events_would_grow() -> None:
    events = is_refused_or_sound(SNOWPLOW, POST, HOSTILE["all that grows"])
    made = [json.loads(each.event) for each in events]
    assert len(made) == 2000
    assert made[0]["extra"] == {"session_index": "1", "session_id": SID}
    assert {"session_index": "1"} in [each["extra"] for each in made]
    assert all(each["sid"] == 3428731526688809182 for each in made)


def test_small_events_of_the_recorded_kind_keep_all_they_have() -> None:
    ((_, body),) = recorded("snowplow-node-post")
    batch = _body(*json.loads(body)["data"] * 600)
    assert all(b'"session_id"' in each.event for each in events_in(SNOWPLOW, POST, batch))


def test_a_post_is_answered_with_json_and_a_get_with_a_gif() -> None:
    posted, got = (SNOWPLOW.response(head, RESULT) for head in (POST, head_of("GET", "/i?e=pv")))
    assert (posted.status, json.loads(posted.body)) == (200, {"status": "success"})
    assert (got.status, got.body) == (200, GIF)
    assert b"image/gif" in got.headers


def test_only_a_post_is_sent_again() -> None:
    assert SNOWPLOW.retries(POST)
    assert not SNOWPLOW.retries(head_of("GET", "/i?e=pv"))


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (TooLarge("too large").refusal, 400),
        (UnsupportedMedia("gzip").refusal, 400),
        (HeadersTooLarge("headers").refusal, 400),
        (BadEvent("bad").refusal, 400),
        (NotFound().refusal, 404),
        (TooFast("rate", 3).refusal, 429),
        (UNAVAILABLE, 503),
    ],
)
def test_a_batch_that_can_never_be_taken_gets_a_status_that_drops_it(refusal: Refusal, status: int) -> None:
    response = SNOWPLOW.refusal(POST, refusal)
    assert response.status == status
    assert json.loads(response.body)["code"] == refusal.code
    assert (b"retry-after" in response.headers) == (refusal.retry_seconds is not None)


def test_a_post_path_of_ones_own_is_added() -> None:
    assert Snowplow("/shop/events").paths == (TP2, "/i", "/shop/events")


_KNOWN: Final = ("e", "aid", "eid", "dtm", "stm", "uid", "duid", "nuid", "sid", "vid", "co", "cx", "ue_pr", "ue_px")
_NAMES: Final = st.sampled_from((*_KNOWN, "se_ca", "se_ac", "ti_sk", "tr_id", "url", "p", "tv", "ip", "ua"))
_TEXTS: Final = st.sampled_from(
    ["", "pv", "ue", "se", "ti", SID, "{}", _envelope("contexts", [ENTITY]), _envelope("unstruct_event", ENTITY)]
)
_PARAMETERS: Final = st.dictionaries(_NAMES | st.text(max_size=4), _TEXTS | JSON_VALUES, max_size=10)


@settings(deadline=None, max_examples=150)
@given(st.lists(_PARAMETERS | JSON_VALUES, max_size=5), st.sampled_from([None, 1]))
def test_any_events_are_sound_or_refused(events: list[Any], indent: int | None) -> None:
    body = json.dumps({"data": events}, indent=indent, ensure_ascii=False).encode("utf-8", "surrogatepass")
    is_refused_or_sound(SNOWPLOW, POST, body)


@settings(deadline=None, max_examples=100)
@given(JSON_VALUES.map(lambda value: json.dumps(value).encode()) | st.binary())
def test_any_body_is_sound_or_refused(body: bytes) -> None:
    is_refused_or_sound(SNOWPLOW, POST, body)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(_NAMES, _TEXTS.map(quote) | st.text(max_size=9) | st.just("%"))), st.binary(max_size=9))
def test_any_query_is_sound_or_refused(pairs: list[tuple[str, str]], end: bytes) -> None:
    query = "&".join(f"{name}={value}" for name, value in pairs).encode("utf-8", "surrogatepass")
    events: list[DialectEvent] = is_refused_or_sound(SNOWPLOW, head_of("GET", b"/i?" + query + end), b"")
    assert len(events) <= 1
