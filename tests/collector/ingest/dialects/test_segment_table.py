"""The table of calls: each row, each place that a member goes to, and members of the wrong type."""

import json
from typing import Any

import pytest

from collector.ingest.fields.field_types import MAX_SID
from tests.collector.ingest.dialects.segment_requests import batch_of, code_of, event_of, fields_of, sent

_TRACK = {"type": "track", "event": "E"}
_IDENTIFY = {"type": "identify", "userId": "u"}


def _track(**members: Any) -> dict[str, Any]:
    """The event of a track call, without its ea and ec."""
    event = event_of({**_TRACK, **members})
    assert (event.pop("ea"), event.pop("ec")) == ("E", "track")
    return event


@pytest.mark.parametrize(
    ("call", "event"),
    [
        ({"type": "track", "event": "Song Played"}, {"ea": "Song Played", "ec": "track"}),
        (
            {"type": "track", "event": "E", "properties": {"a": [1, {"b": None}]}},
            {"ea": "E", "ec": "track", "extra": {"a": [1, {"b": None}]}},
        ),
        (
            {"type": "identify", "userId": "u", "traits": {"plan": "pro"}},
            {"ea": "identify", "ec": "user", "uid": "u", "dims": {"users": {"id": "u", "plan": "pro"}}},
        ),
        (
            {"type": "page", "name": "Home", "category": "Docs", "properties": {"url": "/"}},
            {"ea": "view", "ec": "page", "extra": {"name": "Home", "category": "Docs", "url": "/"}},
        ),
        (
            {"type": "screen", "name": "Home", "properties": {"n": 1}},
            {"ea": "view", "ec": "screen", "extra": {"name": "Home", "n": 1}},
        ),
        (
            {"type": "group", "groupId": "g", "traits": {"name": "Acme"}},
            {"ea": "group", "ec": "group", "dims": {"groups": {"id": "g", "name": "Acme"}}},
        ),
        (
            {"type": "alias", "userId": "u", "previousId": "old"},
            {"ea": "alias", "ec": "user", "uid": "u", "extra": {"previous_id": "old"}},
        ),
    ],
)
def test_each_kind_of_call_has_its_row(call: dict[str, Any], event: dict[str, Any]) -> None:
    assert event_of(call) == event


def test_the_ids_of_a_call_have_their_own_fields() -> None:
    found = _track(messageId="m-1", anonymousId="a", userId="u", context={"sessionId": 7})
    assert found == {"event_id": "m-1", "aid": "a", "uid": "u", "sid": 7}
    assert _track(anonymousId=5, userId=6, messageId=7) == {"aid": 5, "uid": 6, "event_id": "7"}


@pytest.mark.parametrize("nothing", [None, ""])
def test_a_member_that_is_null_or_an_empty_text_is_as_if_it_were_missing(nothing: str | None) -> None:
    names = ("messageId", "anonymousId", "userId", "originalTimestamp", "timestamp", "sentAt")
    assert _track(**dict.fromkeys(names, nothing)) == {}
    assert _track(properties=None, context=None, name=None, traits=None, unknown=None) == {}


def test_a_long_or_unprintable_message_id_becomes_a_digest() -> None:
    ids = [_track(messageId=text)["event_id"] for text in ("m" * 100, "m" * 101, "é", "a\x7f")]
    assert [len(each) for each in ids] == [100, 32, 32, 32]
    assert len(set(ids)) == 4


def test_a_message_id_that_is_no_text_stays_in_extra() -> None:
    assert _track(messageId={"a": 1}) == {"extra": {"messageId": {"a": 1}}}
    assert _track(messageId=True) == {"extra": {"messageId": True}}


def test_the_original_timestamp_is_the_time_of_the_event_and_the_other_is_kept() -> None:
    assert _track(timestamp="2026-01-01") == {"et": "2026-01-01"}
    assert _track(originalTimestamp="2026-01-02") == {"et": "2026-01-02"}
    found = _track(originalTimestamp="2026-01-02", timestamp="2026-01-01")
    assert found == {"et": "2026-01-02", "extra": {"timestamp": "2026-01-01"}}
    assert _track(originalTimestamp=5, timestamp=5) == {"et": 5}


def test_sent_at_is_that_of_the_call_else_that_of_the_batch() -> None:
    own, other, none = batch_of({**_TRACK, "sentAt": "A"}, _TRACK, {**_TRACK, "sentAt": None}, sentAt="B")
    assert [json.loads(each.event)["sent_at"] for each in (own, other, none)] == ["A", "B", "B"]
    [long] = batch_of(_TRACK, sentAt="x" * 100)
    assert "sent_at" not in json.loads(long.event)


@pytest.mark.parametrize(
    ("properties", "items", "extra"),
    [
        ({"product_id": "1"}, [{"id": "1"}], None),
        ({"product_id": 1, "sku": "s", "price": 2}, [{"id": 1, "sku": "s"}], {"price": 2}),
        ({"sku": "s", "price": 2}, [{"id": "s"}], {"price": 2}),
        ({"product_id": "", "sku": "s"}, [{"id": "s"}], {"product_id": ""}),
        ({"product_id": None, "sku": ["s"]}, None, {"product_id": None, "sku": ["s"]}),
        (
            {"products": [{"product_id": "1", "sku": "s", "price": 2}, {"sku": "t", "x": {"y": 1}}, {"name": "n"}]},
            [{"id": "1", "sku": "s", "price": 2}, {"id": "t", "x": {"y": 1}}, {"name": "n"}],
            None,
        ),
        ({"products": [{"id": "own", "product_id": "1"}]}, [{"id": "own", "product_id": "1"}], None),
        ({"products": [{"id": None, "product_id": "1"}]}, [{"id": "1"}], None),
        ({"products": [{"product_id": "1"}], "product_id": "2"}, [{"id": "1"}], {"product_id": "2"}),
        ({"products": ["1", {"sku": "s"}, None, 2]}, [{"id": "s"}], {"products": ["1", None, 2]}),
        ({"products": ["1", 2]}, None, {"products": ["1", 2]}),
        ({"products": []}, None, {"products": []}),
        ({"products": "1", "sku": "s"}, [{"id": "s"}], {"products": "1"}),
        ({"products": {"product_id": "1"}}, None, {"products": {"product_id": "1"}}),
    ],
)
def test_products_become_items_and_nothing_else_of_the_properties_is_lost(
    properties: dict[str, Any], items: list[Any] | None, extra: dict[str, Any] | None
) -> None:
    found = _track(properties=properties)
    assert (found.get("items"), found.get("extra")) == (items, extra)


def test_only_a_track_has_items() -> None:
    properties = {"product_id": "1", "products": [{"sku": "s"}]}
    assert event_of({"type": "page", "properties": properties})["extra"] == properties


def test_an_identify_without_traits_has_those_of_its_context() -> None:
    context = {"traits": {"plan": "pro"}, "locale": "en"}
    empty: tuple[Any, ...] = ({}, [], None)
    for traits in empty:
        found = event_of({**_IDENTIFY, "traits": traits, "context": context})
        assert (found["dims"], found["context"]) == ({"users": {"id": "u", "plan": "pro"}}, {"locale": "en"})
    found = event_of({**_IDENTIFY, "traits": {"plan": "free"}, "context": context})
    assert (found["dims"], found["context"]) == ({"users": {"id": "u", "plan": "free"}}, context)
    assert event_of({**_IDENTIFY, "context": {"traits": 5}})["context"] == {"traits": 5}
    assert _track(context=context)["context"] == context


def test_the_id_of_the_call_is_that_of_the_dims_and_another_one_of_the_traits_is_kept() -> None:
    found = event_of({**_IDENTIFY, "traits": {"id": 42, "plan": "pro"}})
    assert (found["dims"], found["extra"]) == ({"users": {"id": "u", "plan": "pro"}}, {"id": 42})
    assert "extra" not in event_of({**_IDENTIFY, "traits": {"id": "u"}})
    assert event_of({"type": "identify", "traits": {"id": 42}})["dims"] == {"users": {"id": 42}}
    assert event_of({"type": "group", "groupId": 1, "traits": {"id": 2}})["extra"] == {"id": 2}
    assert event_of({"type": "group"}) == {"ea": "group", "ec": "group"}


def test_members_without_a_place_of_their_own_go_to_extra() -> None:
    left = {"channel": "web", "name": "n", "category": "c", "groupId": "g", "previousId": "p", "traits": {"t": 1}}
    assert _track(**left, version=2, unknown={"x": []}) == {"extra": {**left, "version": 2, "unknown": {"x": []}}}
    assert event_of({"type": "page", "event": "E"})["extra"] == {"event": "E"}
    assert event_of({"type": "group", "event": "E", "traits": {"a": 1}})["extra"] == {"event": "E"}


def test_a_property_is_not_overwritten_by_a_member_of_the_call() -> None:
    properties = {"channel": "mail", "name": None, "version": 1, "previous_id": "p"}
    found = _track(properties=properties, channel="web", name="n", version=2, category="c")
    assert found["extra"] == {**properties, "category": "c"}
    assert event_of({"type": "alias", "previousId": "q", "properties": properties})["extra"] == properties


def test_members_about_the_transport_are_dropped() -> None:
    assert _track(integrations={"All": True}, _metadata={"nodeVersion": "v20"}, writeKey="ID") == {}
    [found] = batch_of(_TRACK, timestamp="2026", messageId="b", sequence=1, integrations={"All": True})
    assert json.loads(found.event) == {"ea": "E", "ec": "track"}


def test_the_context_of_a_batch_is_under_that_of_a_call() -> None:
    own, bare = batch_of(
        {**_TRACK, "context": {"app": {"v": 2}, "locale": "en"}}, _TRACK, context={"app": {"v": 1, "w": 1}, "os": "x"}
    )
    assert json.loads(own.event)["context"] == {"app": {"v": 2}, "os": "x", "locale": "en"}
    assert json.loads(bare.event)["context"] == {"app": {"v": 1, "w": 1}, "os": "x"}


@pytest.mark.parametrize("context", ["x", 5, [1], None, {}, [], {"big": "x" * 40_000}])
def test_a_context_of_a_batch_that_can_not_be_used_costs_no_call(context: Any) -> None:
    [found] = batch_of(_TRACK, context=context)
    assert json.loads(found.event) == {"ea": "E", "ec": "track"}


def test_address_and_user_agent_leave_the_context() -> None:
    call = {**_TRACK, "context": {"ip": "203.0.113.9", "userAgent": "Mozilla/5.0", "locale": "en"}}
    [found] = sent("/v1/batch", call)
    assert (found.ip, found.user_agent) == ("203.0.113.9", "Mozilla/5.0")
    assert json.loads(found.event)["context"] == {"locale": "en"}
    own, other = batch_of(call, _TRACK, context={"ip": "198.51.100.1"})
    assert (own.ip, other.ip) == ("203.0.113.9", "198.51.100.1")
    assert b"198.51.100.1" not in own.event + other.event


@pytest.mark.parametrize("value", [None, "", 5, {"a": 1}, ["203.0.113.9"]])
def test_an_address_that_is_no_text_is_dropped(value: Any) -> None:
    [found] = sent("/v1/batch", {**_TRACK, "context": {"ip": value, "userAgent": value}})
    assert (found.ip, found.user_agent) == (None, None)
    assert json.loads(found.event) == {"ea": "E", "ec": "track"}


@pytest.mark.parametrize(
    ("value", "is_sid"),
    [(0, True), (1795833737173, True), (MAX_SID, True), (MAX_SID + 1, False), (-1, False), (1.5, False), ("7", False)],
)
def test_a_session_id_is_our_session_if_it_is_an_integer_of_ours(value: Any, is_sid: bool) -> None:
    found = _track(context={"sessionId": value})
    assert found == ({"sid": value} if is_sid else {"context": {"sessionId": value}})


@pytest.mark.parametrize(
    ("call", "is_s2s"),
    [
        ({"context": {"library": {"name": "analytics-python", "version": "2"}}}, True),
        ({"context": {"library": {"name": "Analytics.NET"}}}, True),
        ({"context": {"library": {"name": "@jitsu/js", "env": "node"}}}, True),
        ({"context": {"library": {"name": "@jitsu/js", "env": "browser"}}}, False),
        ({"context": {"library": {"name": "analytics.js"}}}, False),
        ({"context": {"library": {"name": "analytics-kotlin"}}}, False),
        ({"context": {"library": {"name": 5}}}, False),
        ({"context": {"library": "analytics-python"}}, False),
        ({"context": {"library": None}}, False),
        ({"channel": "server"}, True),
        ({"channel": "web"}, False),
        ({}, False),
    ],
)
def test_a_server_is_known_by_its_library_or_its_channel(call: dict[str, Any], is_s2s: bool) -> None:
    [found] = sent("/v1/batch", {**_TRACK, **call})
    assert found.is_s2s is is_s2s


def test_a_server_is_known_by_the_library_of_the_batch_or_the_path_of_jitsu() -> None:
    assert [each.is_s2s for each in batch_of(_TRACK, _TRACK, context={"library": {"name": "analytics-go"}})] == [
        True,
        True,
    ]
    assert sent("/api/s/s2s/track", _TRACK)[0].is_s2s
    assert not sent("/api/s/track", _TRACK)[0].is_s2s


@pytest.mark.parametrize(
    ("call", "field"),
    [
        ({"type": 5}, "type"),
        ({"type": "merge"}, "type"),
        ({"type": None}, "type"),
        ({"properties": "x"}, "properties"),
        ({"properties": [1]}, "properties"),
        ({"properties": 5, "channel": "web"}, "properties"),
        ({"context": "x"}, "context"),
        ({"context": [1]}, "context"),
        ({"type": "identify", "traits": "x"}, "traits"),
        ({"type": "group", "traits": [1]}, "traits"),
        ({"event": 5}, "ea"),
        ({"event": None}, "ea"),
        ({"event": ""}, "ea"),
        ({"event": "E" * 256}, "ea"),
        ({"anonymousId": {}}, "aid"),
        ({"userId": True}, "uid"),
        ({"userId": "u" * 256}, "uid"),
    ],
)
def test_a_member_of_the_wrong_type_makes_one_bad_event_and_costs_no_neighbour(
    call: dict[str, Any], field: str
) -> None:
    before, wrong, after = batch_of(_TRACK, {**_TRACK, **call}, _TRACK)
    assert fields_of(wrong) == [field]
    assert json.loads(wrong.raw) == {**_TRACK, **call}
    assert before.event == after.event == b'{"ea":"E","ec":"track"}'


@pytest.mark.parametrize("element", [None, 5, "track", [], [_TRACK], True])
def test_an_element_of_a_batch_that_is_no_object_costs_no_neighbour(element: Any) -> None:
    before, wrong, after = batch_of(_TRACK, element, _TRACK)
    assert [code_of(each) for each in (before, wrong, after)] == [None, "invalid_event", None]


def test_php_writes_an_empty_object_as_an_array() -> None:
    assert _track(properties=[], context=[], integrations=[]) == {}
    assert event_of({**_IDENTIFY, "traits": []})["dims"] == {"users": {"id": "u"}}


def test_more_products_than_an_order_has_stay_in_extra() -> None:
    properties = {"products": [{"sku": "s"}] * 1001}
    assert _track(properties=properties) == {"extra": properties}
    properties = {"products": [{"sku": "s"}] * 1000}
    assert len(_track(properties=properties)["items"]) == 1000


def test_traits_in_the_context_of_a_batch_stay_there() -> None:
    [found] = batch_of(_IDENTIFY, context={"traits": {"plan": "pro"}})
    event = json.loads(found.event)
    assert (event["dims"], event["context"]) == ({"users": {"id": "u"}}, {"traits": {"plan": "pro"}})
