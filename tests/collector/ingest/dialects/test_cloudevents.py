"""CloudEvents over HTTP: the recorded requests, each attribute, the three modes, and requests that no SDK sends."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.errors import BadEvent, Refusal, Rejected, TooLarge
from collector.ingest.dialects.cloudevents.dialect import CloudEvents, is_cloudevents
from collector.ingest.dialects.dialect import DialectEvent
from tests.collector.ingest.dialects.hostile import JSON_VALUES, check, members
from tests.collector.ingest.dialects.reading import events_in
from tests.collector.ingest.dialects.recorded import decoded, expected_of, head_of, requests_of

_ONE = b"application/cloudevents+json"
_BATCH = b"application/cloudevents-batch+json"
_MINIMAL = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "sold"}
_OURS = {"ea": "sold", "ec": "/shop", "event_id": "/shop 1"}
_HEADERS = {b"ce-specversion": b"1.0", b"ce-id": b"1", b"ce-source": b"/shop", b"ce-type": b"sold"}


def _read(body: bytes, fields: dict[bytes, bytes]) -> list[DialectEvent]:
    return events_in(CloudEvents(), head_of(fields=fields), body)


def _structured(event: Any) -> DialectEvent:
    (found,) = _read(json.dumps(event).encode(), {b"content-type": _ONE})
    return found


def _event(**attributes: Any) -> Any:
    return decoded([_structured(_MINIMAL | attributes)])[0]


def _binary(body: bytes = b"", content_type: bytes = b"application/json", **attributes: bytes) -> DialectEvent:
    fields = (
        _HEADERS | {b"content-type": content_type} | {f"ce-{name}".encode(): attributes[name] for name in attributes}
    )
    (found,) = _read(body, fields)
    return found


def _refusal(event: DialectEvent) -> Refusal:
    assert event.refusal
    assert not event.event
    return event.refusal


def test_every_recorded_request_becomes_the_events_written_down_for_it() -> None:
    requests, expected = requests_of("cloudevents-node"), expected_of("cloudevents-node")
    assert len(requests) == len(expected)
    for each in expected:
        head, body = requests[each["request"]]
        assert is_cloudevents(head.fields)
        assert decoded(list(CloudEvents().events(head, body))) == [one["event"] for one in each["events"]]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({b"content-type": _ONE}, True),
        ({b"content-type": _BATCH}, True),
        ({b"content-type": b"Application/CloudEvents+JSON ; charset=UTF-8"}, True),
        ({b"content-type": b"application/json", b"ce-specversion": b"1.0"}, True),
        ({b"ce-specversion": b"0.3"}, True),
        ({b"content-type": b"application/json"}, False),
        ({b"content-type": b"application/cloudevents+avro"}, False),
        ({b"content-type": b"application/cloudevents+jsonx"}, False),
        ({b"content-type": b"text/plain; a=application/cloudevents+json"}, False),
        ({}, False),
    ],
)
def test_cloudevents_are_known_by_their_headers(fields: dict[bytes, bytes], expected: bool) -> None:
    assert is_cloudevents(fields) is expected


@pytest.mark.parametrize(
    ("attributes", "ours"),
    [
        ({}, {}),
        ({"subject": "u-1"}, {"uid": "u-1"}),
        ({"subject": None}, {}),
        ({"subject": ""}, {}),
        ({"time": "2026-11-28T00:00:00.123Z"}, {"et": "2026-11-28T00:00:00.123Z"}),
        ({"data": {"a": 1}}, {"extra": {"a": 1}}),
        ({"data": {}}, {}),
        ({"data": None}, {}),
        ({"data": [1, 2]}, {"extra": {"data": [1, 2]}}),
        ({"data": "text"}, {"extra": {"data": "text"}}),
        ({"data": 0}, {"extra": {"data": 0}}),
        ({"data_base64": "AAE="}, {"extra": {"data_base64": "AAE="}}),
        ({"data": {"a": 1}, "data_base64": "AAE="}, {"extra": {"data": {"a": 1}, "data_base64": "AAE="}}),
        (
            {"traceparent": "00-1", "sampled": True, "n": 5},
            {"context": {"traceparent": "00-1", "sampled": True, "n": 5}},
        ),
        ({"traceparent": None}, {}),
        ({"dataschema": "https://a.example/s"}, {"context": {"dataschema": "https://a.example/s"}}),
        ({"datacontenttype": "application/json"}, {}),
        ({"datacontenttype": "application/vnd.a+json; v=1"}, {}),
        (
            {"datacontenttype": "text/xml", "data": "<a/>"},
            {"context": {"datacontenttype": "text/xml"}, "extra": {"data": "<a/>"}},
        ),
        ({"datacontenttype": 5}, {"context": {"datacontenttype": 5}}),
    ],
)
def test_an_attribute_goes_where_the_table_says(attributes: dict[str, Any], ours: dict[str, Any]) -> None:
    assert _event(**attributes) == _OURS | ours


def test_events_differ_in_their_id_if_they_differ_in_source_or_id() -> None:
    pairs = [
        ("a", "b"),
        ("a b", "c"),
        ("a", "b c"),
        ('["a', 'b","x"]'),
        ("a b", "x"),
        ("s" * 50, "1"),
        ("s" * 51, "1"),
        ("s" * 50, "s1"),
        ("é", "1"),
        ("a", "1" * 98),
        ("a", "1" * 99),
        ("x" * 255, "1"),
        ("x" * 256, "1"),
    ]
    ids = [_event(source=source, id=id_)["event_id"] for source, id_ in pairs]
    assert len(set(ids)) == len(pairs)
    assert all(each.isascii() and 1 <= len(each) <= 100 for each in ids)
    assert ids[0] == "a b"


def test_a_source_too_long_for_a_category_stays_whole_in_two_parts() -> None:
    event = _event(source="/" + "s" * 300)
    assert event["ec"] == "/" + "s" * 254
    assert event["context"] == {"source_end": "s" * 46}


@pytest.mark.parametrize(
    ("changed", "faults"),
    [
        ({"id": ...}, [("id", "missing")]),
        ({"id": None}, [("id", "missing")]),
        ({"id": ""}, [("id", "too_short")]),
        ({"id": 5}, [("id", "wrong_type")]),
        ({"specversion": "0.3"}, [("specversion", "not_allowed")]),
        ({"specversion": 1.0}, [("specversion", "wrong_type")]),
        (
            dict.fromkeys(_MINIMAL, ...),
            [("specversion", "missing"), ("id", "missing"), ("source", "missing"), ("type", "missing")],
        ),
    ],
)
def test_wrong_or_missing_attributes_are_all_named_and_cost_no_other_event(
    changed: dict[str, Any], faults: list[tuple[str, str]]
) -> None:
    bad = {name: value for name, value in (_MINIMAL | changed).items() if value is not ...}
    first, refused, last = _read(json.dumps([_MINIMAL, bad, _MINIMAL]).encode(), {b"content-type": _BATCH})
    assert decoded([first, last]) == [_OURS, _OURS]
    refusal = _refusal(refused)
    assert refusal.code == BadEvent.code
    assert [(fault.field, fault.code) for fault in refusal.faults] == faults
    assert json.loads(refused.raw) == bad


def test_a_batch_has_events_and_anything_else_in_it_is_refused_alone() -> None:
    events = _read(json.dumps([_MINIMAL, 5, _MINIMAL | {"id": "2"}]).encode(), {b"content-type": _BATCH})
    assert decoded([events[0], events[2]]) == [_OURS, _OURS | {"event_id": "/shop 2"}]
    assert _refusal(events[1]).message == "expected an event, a JSON object"


def test_pretty_printed_events_become_lines() -> None:
    body = json.dumps([_MINIMAL | {"data": {"a": [1]}}], indent=2).encode()
    (event,) = _read(body, {b"content-type": _BATCH})
    assert event.event == b'{"ea":"sold","ec":"/shop","event_id":"/shop 1","extra":{"a":[1]}}'


def test_text_that_was_cut_within_a_character_costs_that_character_only() -> None:
    body = json.dumps([_MINIMAL | {"data": {"a": "\ud83d"}}]).encode()
    assert decoded(_read(body, {b"content-type": _BATCH})) == [_OURS | {"extra": {"a": "\ufffd"}}]


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (b"Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        (b'"a \\"quoted\\" one"', 'a "quoted" one'),
        (b"100%", "100%"),
        (b"%ff", "\ufffd"),
        ("é".encode(), "é"),
        (b"  padded ", "padded"),
        (b"a+b=c", "a+b=c"),
    ],
)
def test_the_value_of_a_header_is_unescaped(sent: bytes, text: str) -> None:
    (event,) = decoded([_binary(subject=sent, note=sent)])
    assert event == _OURS | {"uid": text, "context": {"note": text}}


@pytest.mark.parametrize(
    ("body", "content_type", "ours"),
    [
        (b'{"a":1}', b"application/json", {"extra": {"a": 1}}),
        (b'{"a":1}', b"application/vnd.a+json; charset=utf-8", {"extra": {"a": 1}}),
        (b'{"a":1}', b' "Application/JSON" ;charset=utf-8', {"extra": {"a": 1}}),
        (b'{\n"a":1}', b"", {"extra": {"a": 1}}),
        (b"[1]", b"application/json", {"extra": {"data": [1]}}),
        (b"", b"application/json", {}),
        (b"", b"image/png", {}),
        (b"<a/>", b"text/xml", {"context": {"datacontenttype": "text/xml"}, "extra": {"data_base64": "PGEvPg=="}}),
        (b"\0\n\xff", b"a/b", {"context": {"datacontenttype": "a/b"}, "extra": {"data_base64": "AAr/"}}),
    ],
)
def test_the_data_of_an_event_in_headers_is_the_body(body: bytes, content_type: bytes, ours: dict[str, Any]) -> None:
    event = _binary(body, content_type)
    assert event.raw == body
    assert b"\n" not in event.event
    assert decoded([event]) == [_OURS | ours]


def test_all_attributes_may_be_headers() -> None:
    event = _binary(subject=b"u-1", time=b"2026-11-28T00:00:00Z", traceparent=b"00-1", dataschema=b"/s")
    context = {"traceparent": "00-1", "dataschema": "/s"}
    assert decoded([event]) == [_OURS | {"uid": "u-1", "et": "2026-11-28T00:00:00Z", "context": context}]


def test_an_event_in_headers_without_its_attributes_is_refused() -> None:
    (event,) = _read(b"{}", {b"ce-specversion": b"1.0", b"ce-type": b""})
    assert [(fault.field, fault.code) for fault in _refusal(event).faults] == [
        ("id", "missing"),
        ("source", "missing"),
        ("type", "too_short"),
    ]


@pytest.mark.parametrize("body", [b"{", b"\xff", b"hello", b"[" * 100_000])
def test_data_that_is_said_to_be_json_and_is_not_is_refused(body: bytes) -> None:
    assert _refusal(_binary(body)).code == BadEvent.code


@pytest.mark.parametrize(("body", "subject"), [(bytes(4000), b"u-1"), (b"{}", b"u" * 2000), (bytes(200_000), b"u-1")])
def test_data_and_headers_that_take_more_room_than_the_body_are_refused(body: bytes, subject: bytes) -> None:
    assert _refusal(_binary(body, b"a/b", subject=subject)).code == TooLarge.code


def test_a_little_data_may_be_base64() -> None:
    (event,) = decoded([_binary(bytes(2500), b"a/b")])
    assert base64.b64decode(event["extra"]["data_base64"]) == bytes(2500)


@pytest.mark.parametrize("content_type", [_ONE, _BATCH])
@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", BadEvent),
        (b" \n", BadEvent),
        (b"{", BadEvent),
        (b"[]", BadEvent),
        (b"hello", BadEvent),
        (b'{"id":"\xff"}', BadEvent),
        (b'{"id":"a\nb"}', BadEvent),
        (b"[" * 100_000 + b"]" * 100_000, BadEvent),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, BadEvent),
        (b"[" + b"1," * 1_000_000 + b"1]", TooLarge),
        (b"[" + b",".join([b"{}"] * 2501) + b"]", TooLarge),
    ],
)
def test_a_hostile_body_is_refused_whole(content_type: bytes, body: bytes, error: type[Rejected]) -> None:
    with pytest.raises(error):
        _read(body, {b"content-type": content_type})


def test_an_event_over_any_limit_is_not_even_read() -> None:
    big = _MINIMAL | {f"a{at}": at for at in range(20_000)}
    first, refused = _read(json.dumps([_MINIMAL, big]).encode(), {b"content-type": _BATCH})
    assert first.event
    assert _refusal(refused).code == TooLarge.code


def test_of_a_repeated_attribute_the_last_one_counts() -> None:
    body = json.dumps(_MINIMAL).encode()[:-1] + b',"type":"returned","data":{"a":1,"a":2}}'
    assert decoded(_read(body, {b"content-type": _ONE})) == [_OURS | {"ea": "returned", "extra": {"a": 2}}]


_MEMBERS = members(
    *("specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "data", "data_base64")
)
_EVENTS = st.tuples(_MEMBERS, st.text(min_size=1, max_size=300), st.text(min_size=1, max_size=120)).map(
    lambda parts: {"specversion": "1.0", "type": "t"} | parts[0] | {"source": parts[1], "id": parts[2]}
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(JSON_VALUES, _MEMBERS, _EVENTS, st.lists(_EVENTS, min_size=1, max_size=3)), st.booleans())
def test_any_json_becomes_events_or_refusals(body: object, is_ascii: bool) -> None:
    text = json.dumps(body, ensure_ascii=is_ascii, separators=(",", ":")).encode("utf-8", "surrogatepass")
    check(lambda sent: CloudEvents().events(head_of(fields={b"content-type": _ONE}), sent), text)
    check(lambda sent: CloudEvents().events(head_of(fields=_HEADERS), sent), text)


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=60),
    st.sampled_from([_ONE, b"", b"application/json", b"a/b", b"\xff"]),
    st.dictionaries(st.binary(max_size=9).map(b"ce-".__add__), st.binary(max_size=60), max_size=4),
)
def test_any_bytes_and_headers_become_events_or_refusals(
    body: bytes, content_type: bytes, fields: dict[bytes, bytes]
) -> None:
    head = head_of(fields=_HEADERS | fields | {b"content-type": content_type})
    check(lambda sent: CloudEvents().events(head, sent), body)


@pytest.mark.parametrize("length", [1, 50, 51, 255, 256, 1000])
def test_events_are_hardly_longer_than_what_was_sent_for_them(length: int) -> None:
    worst = _MINIMAL | {"source": "s" * length, "data": 1, "a": 1}
    text = json.dumps([worst] * 500, separators=(",", ":")).encode()
    read = check(lambda sent: CloudEvents().events(head_of(fields={b"content-type": _BATCH}), sent), text)
    assert len(read) == 500
