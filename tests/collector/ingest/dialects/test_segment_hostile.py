"""Hostile bodies: no other exception than a refusal, no neighbour lost, no more in the log than was sent."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.errors import BadEvent, Rejected, TooLarge
from collector.ingest.dialects.dialect import MOST_EVENTS
from collector.ingest.dialects.segment.call import Call
from tests.collector.ingest.dialects.segment_requests import BATCH, DIALECT, batch_of, code_of, head_of, sent

_TRACK = {"type": "track", "event": "E"}
_CALL = b'{"type":"track","event":"E"}'
_EVENT = b'{"ea":"E","ec":"track"}'
_DEEP = b"[" * 100_000 + b"]" * 100_000


def _refusal(target: str, body: bytes) -> type[Rejected] | None:
    """The exception that refuses a whole request."""
    try:
        sent(target, body)
    except (BadEvent, TooLarge) as error:
        return type(error)
    return None


@pytest.mark.parametrize("target", [BATCH, "/v1/t"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"5",
        b'"track"',
        b"[]",
        b"[" + _CALL + b"]",
        b"{",
        b'{"type":"track"',
        b'{"type":"track","event":"\xff"}',
        b'{"type":"track","event":"a\nb"}',
        b'{"type":"track","event":"\\q"}',
        b'{"type":"track","event":"E"} {}',
        b"\xef\xbb\xbf" + _CALL,
        b'{"type":"track","properties":' + _DEEP + b"}",
        _DEEP,
    ],
)
def test_a_body_that_is_not_one_json_object_is_refused_as_a_whole(target: str, body: bytes) -> None:
    assert _refusal(target, body) is BadEvent


@pytest.mark.parametrize("batch", [b"5", b"null", b"{}", b'"x"', b"[]", b"[" + _DEEP + b"]"])
def test_a_batch_that_is_no_array_of_calls_is_refused_as_a_whole(batch: bytes) -> None:
    assert _refusal(BATCH, b'{"batch":' + batch + b"}") is BadEvent


def test_a_batch_has_at_most_2500_calls() -> None:
    assert len(batch_of(*[_TRACK] * MOST_EVENTS)) == MOST_EVENTS
    for count in (MOST_EVENTS + 1, 1_000_000):
        assert _refusal(BATCH, b'{"batch":[' + b"0," * (count - 1) + b"0]}") is TooLarge


def test_a_call_that_is_too_large_costs_no_neighbour() -> None:
    large = {**_TRACK, "properties": {"a": "x" * (128 << 10)}}
    assert [code_of(each) for each in batch_of(_TRACK, large, _TRACK)] == [None, "too_large", None]
    assert [code_of(each) for each in sent("/v1/t", large)] == ["too_large"]


def test_a_call_that_is_nested_too_deep_costs_no_neighbour() -> None:
    deep = b'{"type":"track","event":"E","properties":{"a":' + b"[" * 300 + b"]" * 300 + b"}}"
    found = sent(BATCH, b'{"batch":[' + _CALL + b"," + deep + b"," + _CALL + b"]}")
    assert [code_of(each) for each in found] == [None, "invalid_event", None]


def test_a_cut_character_costs_neither_its_call_nor_its_neighbours() -> None:
    cut = rb'{"type":"track","event":"cut \ud83d","properties":{"a\udc00":"\\ud83d \ud83d\ude00"}}'
    found = sent(BATCH, b'{"batch":[' + _CALL + b"," + cut + b"]}")
    assert [code_of(each) for each in found] == [None, None]
    event = json.loads(found[1].event)
    assert (event["ea"], event["extra"]) == ("cut �", {"a�": "\\ud83d \U0001f600"})


@pytest.mark.parametrize("space", [b"\n", b"\r\n", b"\n\t  "])
def test_an_event_is_one_line_however_the_body_is_written(space: bytes) -> None:
    call = b'{"type":"track",@"event":"E",@"properties":@{"a":@[1,@"x  y"],@"product_id":@"1"},@"context":{@"b":@1}}'
    body = b'@{@"batch":@[@' + call + b"@,@" + _CALL + b'@],@"sentAt":@"S"@}@'
    found = sent(BATCH, body.replace(b"@", space))
    assert [json.loads(each.event) for each in found] == [
        {
            "ea": "E",
            "ec": "track",
            "items": [{"id": "1"}],
            "extra": {"a": [1, "x  y"]},
            "context": {"b": 1},
            "sent_at": "S",
        },
        {"ea": "E", "ec": "track", "sent_at": "S"},
    ]


def test_of_repeated_members_the_last_one_counts() -> None:
    call = (
        b'{"type":"page","type":"track","event":"A","event":"E","x":1,"x":2,"properties":{"p":1},"properties":{"q":1}}'
    )
    [found] = sent("/v1/p", call)
    assert json.loads(found.event) == {"ea": "E", "ec": "track", "extra": {"x": 2, "q": 1}}
    [found] = sent("/v1/t", b'{"event":"E","context":{"ip":"a","ip":"b","c":1}}')
    assert (found.ip, json.loads(found.event)["context"]) == ("b", {"c": 1})


def test_a_context_of_a_batch_is_not_copied_into_more_events_than_have_room() -> None:
    found = batch_of(*[_TRACK] * 100, context={"a": "x" * 10_000})
    assert [b'"context"' in each.event for each in found] == [True] + [False] * 99
    assert {each.event for each in found[1:]} == {_EVENT}


def test_an_ordinary_context_of_a_batch_is_in_most_events() -> None:
    call = {
        "type": "track",
        "messageId": "3efed425-c8dc-4e12-951e-86d0431d7fad",
        "timestamp": "2026-11-28T02:41:01.835Z",
        "userId": "u-8812",
        "integrations": {},
        "event": "Product Viewed",
        "properties": {"price": 4500000},
    }
    context = {"library": {"name": "analytics-java", "version": "3.5.4"}}
    found = batch_of(*[call] * 250, context=context, sentAt="2026-11-28T02:41:01.847Z")
    assert all(b'"sent_at":' in each.event and each.is_s2s for each in found)
    assert sum(b'"context":' in each.event for each in found) > 200


def test_a_long_user_id_is_not_stored_twice_in_every_event() -> None:
    found = batch_of(*[{"type": "identify", "userId": "u" * 255}] * 100)
    events = [json.loads(each.event) for each in found]
    assert all(event["uid"] == "u" * 255 for event in events)
    assert events[0]["dims"] == {"users": {"id": "u" * 255}}
    assert "dims" not in events[-1]


def test_calls_made_to_grow_can_not_outgrow_their_request() -> None:
    call = {"type": "group", "groupId": 1, "messageId": "\x7f", "event": 1, "context": {"a": {}}}
    body = json.dumps({"batch": [call] * MOST_EVENTS}, separators=(",", ":"), ensure_ascii=False)
    codes = {code_of(each) for each in sent(BATCH, body)}
    assert codes == {None, "invalid_event"}


_scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
)
_names = [*(field.encode_name for field in msgspec.structs.fields(Call)), "batch", "id", "sku", "x"]
_inner = (
    *("products", "product_id", "sku", "id", "ip", "userAgent", "sessionId", "library", "name", "traits", "channel"),
    "a",
)
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_inner), inner, max_size=4),
    max_leaves=6,
)
_calls = st.builds(
    lambda kind, members: {**members, "type": kind} if kind else members,
    st.sampled_from(["track", "identify", "page", "screen", "group", "alias", "", "other"]),
    st.dictionaries(st.sampled_from(_names), _values, max_size=7),
)
_bodies = (
    _values
    | _calls
    | st.builds(
        lambda calls, members: {**members, "batch": calls},
        st.lists(_calls | _values, max_size=6),
        st.dictionaries(st.sampled_from(["context", "sentAt", "writeKey", "x"]), _values, max_size=3),
    )
)


@settings(max_examples=300, deadline=None)
@given(_bodies, st.sampled_from([BATCH, "/v1/t", "/v1/i", "/api/s/s2s/group"]), st.sampled_from([None, 1]))
def test_any_json_makes_events_or_is_refused(body: Any, target: str, indent: int | None) -> None:
    text = json.dumps(body, indent=indent, ensure_ascii=indent is None).encode("utf-8", "surrogatepass")
    try:
        found = sent(target, text)
    except (BadEvent, TooLarge):
        assert not isinstance(body, dict) or "batch" in body
        return
    for each in found:
        assert code_of(each) in (None, "invalid_event", "too_large")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60), st.sampled_from([b"", b'{"batch":[', b'{"type":"track","event":"']))
def test_any_bytes_make_events_or_are_refused(noise: bytes, begin: bytes) -> None:
    try:
        found = list(DIALECT.events(head_of(BATCH), begin + noise))
    except (BadEvent, TooLarge):
        return
    assert all(code_of(each) in (None, "invalid_event") for each in found)


def test_a_context_of_a_batch_that_is_not_copied_still_tells_of_the_visitor() -> None:
    context = {"a": "x" * 10_000, "ip": "203.0.113.9", "sessionId": 7, "library": {"name": "analytics-go"}}
    found = batch_of(*[{**_TRACK, "context": {"n": at % 2}} for at in range(100)], context=context)
    assert all((each.ip, each.is_s2s) == ("203.0.113.9", True) for each in found)
    assert all(json.loads(each.event)["sid"] == 7 for each in found)
    assert json.loads(found[-1].event)["context"] == {"n": 1}
