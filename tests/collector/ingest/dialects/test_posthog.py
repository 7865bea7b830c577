"""PostHog's dialect: what its SDKs were seen to send, each row of its table, and bodies that no SDK sends."""

import base64
import gzip
import json
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.errors import BadEvent, Overloaded, Rejected, TooFast, TooLarge
from collector.http.request import RequestHead
from collector.http.status import refusal_of
from collector.ingest.dialects.dialect import Credentials, Dialect, DialectEvent, Result
from collector.ingest.dialects.posthog.dialect import PostHog
from tests.collector.ingest.dialects.hostile import JSON_VALUES, check, members
from tests.collector.ingest.dialects.reading import events_in
from tests.collector.ingest.dialects.recorded import decoded, expected_of, head_of, requests_of

POSTHOG: Dialect = PostHog()
_KEY = "phc_1"
_SESSION = "0190a9b0-0000-7000-8000-000000000001"


def _read(body: bytes, path: bytes = b"/batch", query: bytes = b"") -> list[DialectEvent]:
    return events_in(POSTHOG, head_of(path, query), body)


def _sent(body: Any, path: bytes = b"/batch", query: bytes = b"") -> list[DialectEvent]:
    return _read(json.dumps(body).encode(), path, query)


def _one(properties: Any = None, **event: Any) -> DialectEvent:
    """The event of a batch of one."""
    sent = {"event": "bought", "distinct_id": "u-1"} | event
    if properties is not None:
        sent["properties"] = properties
    (found,) = _sent({"api_key": _KEY, "batch": [{name: each for name, each in sent.items() if each is not ...}]})
    return found


def _event(properties: Any = None, **event: Any) -> Any:
    return decoded([_one(properties, **event)])[0]


def _takes(head: RequestHead) -> bool:
    return head.path.decode().rstrip("/") in POSTHOG.paths


@pytest.mark.parametrize("name", ["posthog-browser", "posthog-node"])
def test_every_recorded_request_becomes_the_events_written_down_for_it(name: str) -> None:
    requests = requests_of(name)
    expected = expected_of(name)
    assert [number for number, (head, _) in enumerate(requests) if _takes(head)] == [
        each["request"] for each in expected
    ]
    for each in expected:
        events = list(POSTHOG.events(*requests[each["request"]]))
        assert decoded(events) == [one["event"] for one in each["events"]]
        for event in events:
            assert event.credentials == Credentials(each["property_id"], "")
            assert (event.is_s2s, event.ip, event.user_agent) == (each["is_s2s"], None, each["user_agent"])


@pytest.mark.parametrize(
    ("name", "ea", "ec"),
    [
        ("$pageview", "view", "page"),
        ("$pageleave", "leave", "page"),
        ("$screen", "view", "screen"),
        ("$identify", "identify", "user"),
        ("$create_alias", "alias", "user"),
        ("$groupidentify", "group", "group"),
        ("$set", "set", "user"),
        ("$autocapture", "$autocapture", "track"),
        ('Bought 1 "thing" \u2028 é', 'Bought 1 "thing" \u2028 é', "track"),
    ],
)
def test_the_name_of_an_event_is_its_action_and_category(name: str, ea: str, ec: str) -> None:
    assert _event(event=name) == {"ea": ea, "ec": ec, "uid": "u-1"}


@pytest.mark.parametrize(
    ("sent", "ids"),
    [
        ({"distinct_id": "u-1"}, {"uid": "u-1"}),
        ({"distinct_id": 8812}, {"uid": 8812}),
        ({"distinct_id": ..., "properties": {"distinct_id": "u-2"}}, {"uid": "u-2"}),
        ({"distinct_id": None, "properties": {"distinct_id": "u-2"}}, {"uid": "u-2"}),
        ({"properties": {"distinct_id": "u-2"}}, {"uid": "u-1"}),
        ({"distinct_id": ...}, {}),
        ({"properties": {"$device_id": "d-1"}}, {"uid": "u-1", "aid": "d-1"}),
        ({"distinct_id": "d-1", "properties": {"$device_id": "d-1"}}, {"aid": "d-1"}),
        ({"distinct_id": ..., "properties": {"$device_id": "d-1"}}, {"aid": "d-1"}),
        ({"distinct_id": "$posthog_cookieless", "properties": {"$device_id": None}}, {}),
        ({"properties": {"$session_id": _SESSION}}, {"uid": "u-1", "sid": 0x0190A9B000007000 >> 1}),
        ({"properties": {"$session_id": _SESSION.upper()}}, {"uid": "u-1", "sid": 0x0190A9B000007000 >> 1}),
        ({"properties": {"$session_id": "f" * 8 + _SESSION[8:]}}, {"uid": "u-1", "sid": 0xFFFFFFFF00007000 >> 1}),
        ({"properties": {"$session_id": "mine"}}, {"uid": "u-1", "context": {"$session_id": "mine"}}),
        ({"uuid": _SESSION}, {"uid": "u-1", "event_id": _SESSION}),
        ({"properties": {"$insert_id": "i-1"}}, {"uid": "u-1", "event_id": "i-1"}),
        ({"uuid": 5, "properties": {"$insert_id": "i-1"}}, {"uid": "u-1", "event_id": "i-1"}),
        (
            {"uuid": _SESSION, "properties": {"$insert_id": "i-1"}},
            {"uid": "u-1", "event_id": _SESSION, "context": {"$insert_id": "i-1"}},
        ),
        ({"timestamp": "2026-11-28T02:41:37.554Z"}, {"uid": "u-1", "et": "2026-11-28T02:41:37.554Z"}),
        ({"timestamp": 5}, {"uid": "u-1", "et": 5}),
        ({"properties": {"$time": 1795833789.712}}, {"uid": "u-1", "et": 1795833789712}),
        ({"$set": {"a": 1}}, {"uid": "u-1", "dims": {"users": {"a": 1}}}),
        ({"properties": {"$set": {"a": 1}}}, {"uid": "u-1", "dims": {"users": {"a": 1}}}),
        ({"$set": {}, "properties": {"$set": {"a": 1}}}, {"uid": "u-1"}),
        ({"$set_once": {"a": 1}}, {"uid": "u-1", "context": {"$set_once": {"a": 1}}}),
        (
            {"properties": {"$os": "Linux", "$none": None, "price": 4.5, "plan": None, "n": 10**30}},
            {"uid": "u-1", "context": {"$os": "Linux"}, "extra": {"price": 4.5, "plan": None, "n": 10**30}},
        ),
        ({"type": "capture", "library": "posthog-ruby", "offset": 5, "properties": {}}, {"uid": "u-1"}),
    ],
)
def test_ids_times_and_properties_go_where_the_table_says(sent: dict[str, Any], ids: dict[str, Any]) -> None:
    assert _event(**sent) == {"ea": "bought", "ec": "track"} | ids


def test_a_long_or_odd_uuid_becomes_a_digest_as_an_event_id() -> None:
    ids = [_event(uuid=uuid)["event_id"] for uuid in ("x" * 101, "x" * 102, "é", "a\nb")]
    assert {len(each) for each in ids} == {32}
    assert len(set(ids)) == 4


def test_the_time_of_a_batch_is_in_each_of_its_events() -> None:
    events = decoded(_sent({"api_key": _KEY, "sent_at": "2026-11-28T02:41:37.861Z", "batch": [{"event": "a"}] * 3}))
    assert [event["sent_at"] for event in events] == ["2026-11-28T02:41:37.861Z"] * 3


def test_a_time_that_is_longer_than_what_was_sent_pays_for_is_in_the_first_event_only() -> None:
    events = decoded(_sent({"sent_at": "x" * 100, "batch": [{"event": "a"}] * 3}))
    assert [len(event.get("sent_at", "")) for event in events] == [100, 0, 0]


def test_an_older_browser_tells_its_clock_in_the_query() -> None:
    (event,) = _sent([{"event": "a", "offset": 12}], query=b"compression=gzip-js&_=1700000000123&ver=1.20.0")
    assert json.loads(event.event)["sent_at"] == 1700000000123


@pytest.mark.parametrize(
    ("properties", "event", "is_s2s"),
    [
        ({"$is_server": True}, {}, True),
        ({"$is_server": True, "$lib": "web"}, {}, True),
        ({"$is_server": False, "$lib": "posthog-python"}, {}, False),
        *[({"$lib": f"posthog-{name}"}, {}, True) for name in ("python", "node", "go", "php", "ruby", "java")],
        *[({"$lib": name}, {}, False) for name in ("web", "posthog-ios", "posthog-android", "posthog-flutter", 5)],
        ({}, {"library": "posthog-php"}, True),
        ({}, {}, False),
        (None, {}, False),
    ],
)
def test_events_of_servers_are_known_as_such(properties: Any, event: dict[str, Any], is_s2s: bool) -> None:
    assert _one(properties, **event).is_s2s is is_s2s


def test_address_and_user_agent_are_taken_out_of_the_event() -> None:
    found = _one({"$ip": "192.0.2.7", "$raw_user_agent": "Mozilla", "$user_agent": "other"})
    assert (found.ip, found.user_agent) == ("192.0.2.7", "Mozilla")
    assert json.loads(found.event) == {"ea": "bought", "ec": "track", "uid": "u-1"}
    odd = _one({"$ip": 5, "$user_agent": None})
    assert (odd.ip, odd.user_agent) == (None, None)
    assert b"$ip" not in odd.event


@pytest.mark.parametrize(
    ("body", "credentials"),
    [
        ({"api_key": "k", "batch": [{"event": "a"}]}, ("k", "")),
        ({"token": "k", "batch": [{"event": "a"}]}, ("k", "")),
        ({"api_key": None, "token": "k:s", "batch": [{"event": "a"}]}, ("k", "s")),
        ({"batch": [{"event": "a", "api_key": "k"}]}, ("k", "")),
        ([{"event": "a", "token": "k"}], ("k", "")),
        ([{"event": "a", "properties": {"token": "k"}}], ("k", "")),
        ({"event": "a", "properties": {"token": "k"}}, ("k", "")),
        ({"api_key": "k", "event": "a"}, ("k", "")),
        ({"api_key": "k", "data": [{"event": "a"}]}, ("k", "")),
        ({"batch": [{"event": "a"}]}, ("", "")),
        ({"api_key": 5, "batch": [{"event": "a"}]}, ("", "")),
    ],
)
def test_the_key_is_found_wherever_an_sdk_puts_it_and_stays_out_of_the_event(
    body: Any, credentials: tuple[str, str]
) -> None:
    (found,) = _sent(body)
    assert found.credentials == credentials
    assert json.loads(found.event) == {"ea": "a", "ec": "track"}


def test_a_property_named_token_is_data_if_it_is_not_the_key() -> None:
    assert _event({"token": "gift-5"})["extra"] == {"token": "gift-5"}
    assert "extra" not in _event({"token": _KEY})


def test_a_key_in_the_query_is_that_of_the_request() -> None:
    assert POSTHOG.credentials(head_of(b"/e", b"ip=1&api_key=k:s")) == Credentials("k", "s")
    assert POSTHOG.credentials(head_of(b"/e", b"token=k")) == Credentials("k", "")
    assert POSTHOG.credentials(head_of(b"/e")) == Credentials("", "")


_ALONE = b'{"api_key":"k","event":"a","properties":{"b":"x+y z"}}'
_FORM = [
    _ALONE,
    b" \r\n" + _ALONE + b"\n",
    b'[{"event":"a","properties":{"token":"k","b":"x+y z"}}]',
    b'{"api_key":"k","batch":[{"event":"a","properties":{"b":"x+y z"}}]}',
    b'{"data":' + _ALONE + b"}",
    b'{"api_key":"k","data":[{"event":"a","properties":{"b":"x+y z"}}]}',
    json.dumps({"data": _ALONE.decode()}).encode(),
    json.dumps({"data": base64.b64encode(_ALONE).decode()}).encode(),
    b"data=" + quote(_ALONE).encode(),
    b"data=" + quote(base64.b64encode(_ALONE)).encode(),
    b"data=" + base64.b64encode(_ALONE),
    b"data=" + base64.urlsafe_b64encode(_ALONE).rstrip(b"="),
    b"data=" + quote(base64.b64encode(gzip.compress(_ALONE, mtime=0))).encode() + b"&compression=gzip",
    b"ip=1&data=" + quote(base64.b64encode(b"[%b]" % _ALONE)).encode(),
    base64.b64encode(_ALONE),
]


@pytest.mark.parametrize("body", _FORM)
def test_events_are_found_in_every_form_of_body(body: bytes) -> None:
    (found,) = _read(body)
    assert found.credentials == Credentials("k", "")
    assert json.loads(found.event) == {"ea": "a", "ec": "track", "extra": {"b": "x+y z"}}


def test_events_are_found_in_the_query_of_a_request_without_a_body() -> None:
    (found,) = _read(b"", b"/e", b"ip=1&data=" + quote(base64.b64encode(_ALONE)).encode())
    assert json.loads(found.event)["ea"] == "a"


def test_a_person_is_updated_by_engage() -> None:
    sent = {"$token": "k", "$distinct_id": "u-1", "$set": {"plan": "free"}}
    (found,) = _sent(sent, b"/engage/")
    assert json.loads(found.event) == {
        "ea": "identify",
        "ec": "user",
        "uid": "u-1",
        "dims": {"users": {"plan": "free"}},
    }
    assert found.credentials == Credentials("k", "")
    assert _sent(sent, b"/e")[0].refusal


@pytest.mark.parametrize(
    ("event", "faults"),
    [
        ({}, [("event", "missing")]),
        ({"event": 5}, [("event", "wrong_type")]),
        ({"event": None}, [("event", "wrong_type")]),
        ({"event": "a", "properties": "b"}, [("properties", "wrong_type")]),
        ({"event": ["a"], "properties": [1]}, [("event", "wrong_type"), ("properties", "wrong_type")]),
        (5, []),
        (None, []),
        ([], []),
    ],
)
def test_a_bad_event_names_its_faults_and_costs_no_other(event: Any, faults: list[tuple[str, str]]) -> None:
    good = {"event": "a"}
    first, bad, last = _sent([good, event, good])
    assert first.event == last.event == b'{"ea":"a","ec":"track"}'
    assert bad.refusal
    assert bad.refusal.code == BadEvent.code
    assert [(fault.field, fault.code) for fault in bad.refusal.faults] == faults
    assert json.loads(bad.raw) == event


@pytest.mark.parametrize(
    "body",
    [
        {"api_key": "k:s3cret", "batch": [{"event": 5, "properties": {"token": "k:s3cret"}}]},
        {"api_key": "k:s3cret", "event": 5},
        [{"event": 5, "token": "k:s3cret"}],
        [{"event": 5, "properties": {"token": "k:s3cret"}}],
        [{"event": "a", "api_key": "k:s3cret", "properties": 5}],
        {"api_key": "k:s3cret", "event": "a", "properties": {"x": "y" * (130 << 10)}},
        [{"event": "a", "token": "k:s3cret"}, 5],
    ],
)
def test_a_bad_event_names_its_property_and_keeps_no_secret(body: Any) -> None:
    bad = _sent(body)[-1]
    assert bad.refusal
    assert bad.credentials == Credentials("k", "s3cret")
    assert b"s3cret" not in bad.raw


def test_an_event_may_have_no_properties() -> None:
    assert _event(None) == _event({}) == {"ea": "bought", "ec": "track", "uid": "u-1"}
    assert _event(properties=None) == _event()


def test_a_pretty_printed_batch_becomes_lines() -> None:
    body = json.dumps({"api_key": "k", "batch": [{"event": "a", "properties": {"b": [1, {"c": 2}]}}] * 2}, indent=2)
    events = _read(body.encode())
    assert [event.event for event in events] == [b'{"ea":"a","ec":"track","extra":{"b":[1,{"c":2}]}}'] * 2


def test_text_that_was_cut_within_a_character_costs_that_character_only() -> None:
    body = rb'[{"event":"a","properties":{"title":"\ud83d"}},{"event":"b\ud83d\ude00"}]'
    assert decoded(_read(body)) == [
        {"ea": "a", "ec": "track", "extra": {"title": "\ufffd"}},
        {"ea": "b😀", "ec": "track"},
    ]


def test_of_a_repeated_member_the_last_one_counts() -> None:
    body = b'{"event":"a","event":"b","properties":{"x":1,"x":2,"$device_id":1,"$device_id":"d"}}'
    assert decoded(_read(body)) == [{"ea": "b", "ec": "track", "aid": "d", "extra": {"x": 2}}]


_BOMB = base64.b64encode(gzip.compress(bytes(20 << 20), mtime=0))


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", BadEvent),
        (b" \n", BadEvent),
        (b"data=", BadEvent),
        (b"data=%7B", BadEvent),
        (b"hello", BadEvent),
        (b"\xff\xfe", BadEvent),
        (b"data=A", BadEvent),
        (b"data=%%%", BadEvent),
        (b"{", BadEvent),
        (b'{"event":"a"', BadEvent),
        (b'{"event":"\xff"}', BadEvent),
        (b'[{"event":"a\nb"}]', BadEvent),
        (b"[]", BadEvent),
        (b'{"batch":[]}', BadEvent),
        (b'{"batch":{}}', BadEvent),
        (b'{"batch":null}', BadEvent),
        (b'{"data":5}', BadEvent),
        (b'{"data":null}', BadEvent),
        (b'{"data":{"data":{"event":"a"}}}', BadEvent),
        (b"[" * 100_000 + b"]" * 100_000, BadEvent),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, BadEvent),
        (b'{"batch":' + b"[" * 100_000 + b"]" * 100_000 + b"}", BadEvent),
        (b"[" + b"1," * 1_000_000 + b"1]", TooLarge),
        (b'{"batch":[' + b"1," * 1_000_000 + b"1]}", TooLarge),
        (b"[" + b",".join([b'{"event":"a"}'] * 2501) + b"]", TooLarge),
        (b"data=" + _BOMB, TooLarge),
        (b"data=" + base64.b64encode(gzip.compress(b"x" * 100, mtime=0)[:-9]), BadEvent),
        (b"data=" + base64.b64encode(b"\x1f\x8bnot gzip"), BadEvent),
        (b"data=" + b"A" * (2 << 20), TooLarge),
        (b"%" * 500_000, BadEvent),
    ],
)
def test_a_hostile_body_is_refused_whole(body: bytes, error: type[Rejected]) -> None:
    with pytest.raises(error):
        _read(body)


def test_batches_of_2500_events_are_taken() -> None:
    assert len(_read(b"[" + b",".join([b'{"event":"a"}'] * 2500) + b"]")) == 2500


def test_an_event_over_any_limit_is_not_even_read() -> None:
    big = {"event": "a", "properties": {f"p{at}": at for at in range(20_000)}}
    first, bad = _sent([{"event": "a"}, big])
    assert first.event
    assert bad.refusal
    assert bad.refusal.code == TooLarge.code


_MEMBERS = members(
    *(
        "event",
        "distinct_id",
        "$distinct_id",
        "uuid",
        "timestamp",
        "properties",
        "$set",
        "$set_once",
        "api_key",
        "token",
    ),
    *("sent_at", "library", "batch", "data"),
)
_PROPERTIES = members(
    *(
        "token",
        "distinct_id",
        "$device_id",
        "$session_id",
        "$insert_id",
        "$time",
        "$ip",
        "$raw_user_agent",
        "$user_agent",
    ),
    *("$set", "$lib", "$is_server"),
)
_EVENTS = st.tuples(_MEMBERS, st.text(max_size=5), _PROPERTIES).map(
    lambda parts: {"event": parts[1]} | parts[0] | {"properties": parts[2]}
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(JSON_VALUES, _MEMBERS, _EVENTS, st.lists(_EVENTS, min_size=1, max_size=3)), st.booleans())
def test_any_json_becomes_events_or_refusals(body: object, is_ascii: bool) -> None:
    text = json.dumps(body, ensure_ascii=is_ascii, separators=(",", ":")).encode("utf-8", "surrogatepass")
    check(lambda sent: POSTHOG.events(head_of(b"/e"), sent), text)
    check(
        lambda sent: POSTHOG.events(head_of(b"/batch"), sent), b'{"sent_at":"2026-11-28T02:41:37Z","batch":%b}' % text
    )


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60) | st.sampled_from(_FORM).flatmap(lambda form: st.binary(max_size=9).map(form.__add__)))
def test_any_bytes_become_events_or_refusals(body: bytes) -> None:
    check(lambda sent: POSTHOG.events(head_of(b"/e"), sent), body)


def test_events_are_hardly_longer_than_what_was_sent_for_them() -> None:
    worst = {"event": "a", "uuid": "é", "$set": {"": 0}, "properties": {"$a": 0, "b": 0}}
    text = json.dumps({"sent_at": "x" * 900, "batch": [worst] * 500}, ensure_ascii=False, separators=(",", ":"))
    assert len(check(lambda sent: POSTHOG.events(head_of(b"/e"), sent), text.encode())) == 500


@pytest.mark.parametrize(("stored", "rejected"), [(3, 0), (1, 2), (0, 3)])
def test_success_is_a_200_with_json_whatever_became_of_the_events(stored: int, rejected: int) -> None:
    response = POSTHOG.response(head_of(b"/batch"), Result(stored, 0, rejected))
    assert (response.status, response.body) == (HTTPStatus.OK, b'{"status":"Ok"}')
    assert b"content-type: application/json\r\n" in response.headers


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (TooFast("too many events", 3), HTTPStatus.SERVICE_UNAVAILABLE),
        (Overloaded(), HTTPStatus.SERVICE_UNAVAILABLE),
        (BadEvent("no"), HTTPStatus.BAD_REQUEST),
        (TooLarge("no"), HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    ],
)
def test_a_refusal_says_code_and_message_and_is_never_a_429(error: Exception, status: HTTPStatus) -> None:
    response = POSTHOG.refusal(head_of(b"/e"), refusal_of(error))
    assert response.status == status
    assert json.loads(response.body).keys() >= {"code", "message"}
    assert (b"retry-after: " in response.headers) is (status == HTTPStatus.SERVICE_UNAVAILABLE)


@pytest.mark.parametrize(
    ("query", "fields", "retries"),
    [
        (b"", {}, True),
        (b"retry_count=2", {b"sec-fetch-mode": b"cors"}, True),
        (b"", {b"sec-fetch-mode": b"no-cors"}, False),
        (b"ip=1&beacon=1", {}, False),
        (b"beacon=10", {}, True),
    ],
)
def test_a_beacon_is_not_sent_again(query: bytes, fields: dict[bytes, bytes], retries: bool) -> None:
    assert POSTHOG.retries(head_of(b"/e", query, fields)) is retries
