"""Addresses and user agents inside an event: removed or truncated by the property's settings."""

import asyncio
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.dead_letters.writer import Form
from collector.ingest.policy.privacy import ADDRESSES, USER_AGENTS, IpRule, scrub, scrub_raw
from collector.settings import Limits, PropertySettings
from tests.collector.live_intake import ask, endpoint, live_intake

PAIR = "portal_id=1&prop_id=2&resp_type=json"


def _scrubbed(event: bytes, ip: IpRule = "truncate", *, keeps_user_agent: bool = False) -> bytes:
    return scrub(event, ip, keeps_user_agent=keeps_user_agent)


@pytest.mark.parametrize(
    ("ip", "keeps_user_agent", "context"),
    [
        ("full", True, {"ip": "203.0.113.7", "userAgent": "A/1", "page": "p"}),
        ("full", False, {"ip": "203.0.113.7", "page": "p"}),
        ("truncate", True, {"ip": "203.0.113.0", "userAgent": "A/1", "page": "p"}),
        ("truncate", False, {"ip": "203.0.113.0", "page": "p"}),
        ("drop", True, {"userAgent": "A/1", "page": "p"}),
        ("drop", False, {"page": "p"}),
    ],
)
def test_a_context_is_reduced_to_the_parts_that_the_property_keeps(
    ip: IpRule, keeps_user_agent: bool, context: dict[str, str]
) -> None:
    event = b'{"ea":"view","context":{"ip":"203.0.113.7","userAgent":"A/1","page":"p"}}'
    scrubbed = _scrubbed(event, ip, keeps_user_agent=keeps_user_agent)
    assert json.loads(scrubbed) == {"ea": "view", "context": context}


@pytest.mark.parametrize(
    "event",
    [
        b'{"ip":"203.0.113.7"}',
        b'{"extra":{"ip_address":"203.0.113.7"}}',
        b'{"extra":{"IP-Address":"203.0.113.7"}}',
        b'{"extra":{"$ip":"203.0.113.7"}}',
        b'{"context":{"client.ip":"203.0.113.7"}}',
        b'{"context":{"device":{"ip":"203.0.113.7"}}}',
        b'{"context":{"request":{"headers":{"X-Forwarded-For":"203.0.113.7"}}}}',
        b'{"properties":{"Remote_Addr":"203.0.113.7"}}',
        b'{ "ip" : "203.0.113.7" }',
        b'{"context.ip":"203.0.113.7","context_ip_address":"203.0.113.7"}',
        b'{"ip":["203.0.113.7"]}',
        b'{"ip":{"v4":"203.0.113.7"}}',
        b'{"ip":3405803783}',
        b'{"\\u0069p":"203.0.113.7"}',
        b'{"\\u0049\\u0050\\u005faddress":"203.0.113.7"}',
        b'{"context":{"\\u0069\\u0070":"203.0.113.7"}}',
        b'{"ip":"203.0.113.7","ip":"203.0.113.7"}',
        b'{"context":{"ip":"203.0.113.7"},"context":{"ip":"203.0.113.7"}}',
        b'{"context":{"ip":"203.0.113.7"},"context":{}}',
        b'{"IP":"203.0.113.7","Ip":"203.0.113.7","iP":"203.0.113.7"}',
        b'{"x":"\\"ip\\":","ip":"203.0.113.7"}',
        b'{"x":"\\\\","ip":"203.0.113.7"}',
    ],
)
def test_an_address_is_dropped_at_any_place_and_under_any_spelling_of_its_name(event: bytes) -> None:
    scrubbed = _scrubbed(event, "drop", keeps_user_agent=True)
    assert b"203.0" not in scrubbed
    assert b"3405803783" not in scrubbed
    json.loads(scrubbed)


@pytest.mark.parametrize("name", sorted(ADDRESSES | USER_AGENTS))
def test_every_name_of_the_list_is_recognized(name: bytes) -> None:
    event = b'{"extra":{"%b":"2001:db8:1:2:3:4:5:6"}}' % name
    assert _scrubbed(event, "drop") == b'{"extra":{}}'
    kept = b'{"extra":{"%b":"2001:db8:1::"}}' % name if name in ADDRESSES else b'{"extra":{}}'
    assert _scrubbed(event) == kept


def test_a_flattened_name_of_a_user_agent_is_recognized() -> None:
    assert _scrubbed(b'{"context.user_agent":"A/1","device_userAgent":"A/1"}') == b"{}"


@pytest.mark.parametrize("value", [b'"10.0.0.1, 10.0.0.2"', b'"x"', b"null", b"true", b"[]", b"1e400"])
def test_an_address_that_can_not_be_truncated_is_dropped(value: bytes) -> None:
    assert _scrubbed(b'{"a":1,"ip":%b}' % value) == b'{"a":1}'


@pytest.mark.parametrize(
    "event",
    [
        b'{"ea":"view", "description":"the ip of 203.0.113.7", "zip":"10115", "clip":"ip"}',
        b'{"items":[{"ip":"IP67"}],"dims":{"a":[{"ip":"203.0.113.7"}]}}',
        b'{"a":{"b":{"c":{"d":{"ip":"203.0.113.7"}}}}}',
        '{"ip\u0130":"x","\uff49\uff50":"y","name":"\u00e9"}'.encode(),
        b'{"x":"\\u003cb\\u003e","n":1e400,"m":%b}' % (b"9" * 5000),
        b'["ip"]',
        b'"ip"',
        b"{",
        b'{"ip":',
        b'{"\xff":1,"ip":"203.0.113.7"}',
        b"",
    ],
)
def test_all_other_members_stay_as_they_are(event: bytes) -> None:
    scrubbed = _scrubbed(event)
    assert scrubbed == event or json.loads(scrubbed) == json.loads(event)


def test_values_next_to_an_address_stay_byte_for_byte() -> None:
    values = b'"n":1.50,"big":%b,"e":1E400,"t":"\\u00e9\\/","o":{ "a" : [1 ,2] }' % (b"7" * 5000)
    assert _scrubbed(b'{%b,"ip":"203.0.113.7"}' % values) == b'{%b,"ip":"203.0.113.0"}' % values


def test_an_event_of_a_property_that_keeps_all_is_not_searched() -> None:
    event = b'{"ip":"203.0.113.7","ip":"203.0.113.8", "ua":"A/1"}'
    assert scrub(event, "full", keeps_user_agent=True) is event
    assert scrub_raw(event, Form.JSON, "full", keeps_user_agent=True) is event


_NAMES = st.sampled_from(["ip", "IP", "i_p", "userAgent", "ua", "context", "extra", "ea", "\u00e9", '"', "\\", "\x00"])
_VALUES = st.recursive(
    st.none() | st.integers() | st.text() | st.sampled_from(["203.0.113.7", "::1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4),
)


@settings(deadline=None, max_examples=300)
@given(st.dictionaries(_NAMES, _VALUES, max_size=6), st.booleans(), st.sampled_from(["truncate", "drop"]))
def test_any_event_stays_except_for_members_with_listed_names(
    event: dict[str, Any], is_ascii: bool, ip: IpRule
) -> None:
    data = json.dumps(event, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass")
    scrubbed = _scrubbed(data, ip)
    assert len(scrubbed) <= len(data)
    assert json.loads(scrubbed) == _expected(event, ip, 4)
    assert _scrubbed(scrubbed, ip) == scrubbed


def _expected(value: Any, ip: IpRule, levels: int) -> Any:
    """The expected event, by a slow second implementation."""
    if not isinstance(value, dict) or not levels:
        return value
    kept = {}
    for name, member in value.items():
        folded = name.lower().replace("_", "").encode()
        if folded not in ADDRESSES | USER_AGENTS:
            kept[name] = _expected(member, ip, levels - 1)
        elif folded in ADDRESSES and ip == "truncate" and member in ("203.0.113.7", "::1"):
            kept[name] = "203.0.113.0" if member == "203.0.113.7" else "::"
    return kept


@settings(deadline=None, max_examples=300)
@given(st.binary() | st.lists(st.sampled_from([b'{"ip":', b"}", b'"', b",", b"\\u00", b"[", b"]"])).map(b"".join))
def test_no_bytes_raise(data: bytes) -> None:
    for form in Form:
        assert isinstance(scrub_raw(data, form, "truncate", keeps_user_agent=False), bytes)


def test_an_event_nested_too_deep_to_parse_is_left_as_it_is() -> None:
    for deep in (b'{"ip":' * 100_000, b'{"ip":' + b"[" * 100_000):
        assert _scrubbed(deep) == deep
        assert scrub_raw(deep, Form.JSON, "drop", keeps_user_agent=False) == b""


# Refused events


@pytest.mark.parametrize(
    ("form", "raw", "kept"),
    [
        (Form.JSON, b'{"ip":"203.0.113.7"}', b'{"ip":"203.0.113.0"}'),
        (Form.JSON, b' [{"ip":"203.0.113.7"}, 7,{"UA":"A/1"}]', b'[{"ip":"203.0.113.0"},7,{}]'),
        (Form.NDJSON, b'{"ip":"203.0.113.7"}\r\n\n{"ip":\n{"ua":1}', b'{"ip":"203.0.113.0"}\n{}'),
        (Form.QUERY, b"ea=a&ip=203.0.113.7&b=%&c", b"ea=a&ip=203.0.113.0&b=%&c"),
        (Form.QUERY, b"%49%50=203%2E0.113.7&ip=x&user+agent=A/1", b"%49%50=203.0.113.0"),
        (
            Form.QUERY,
            b"context=%7B%22ip%22:%22203.0.113.7%22%7D&a=1",
            b"context=%7B%22ip%22%3A%22203.0.113.0%22%7D&a=1",
        ),
        (Form.QUERY, b'extra={"ua":"A+1"}', b"extra=%7B%7D"),
        (Form.QUERY, b'dims={"id":"a+b"}&x=%ff', b'dims={"id":"a+b"}&x=%ff'),
    ],
)
def test_a_refused_request_is_scrubbed_by_the_same_rules(form: Form, raw: bytes, kept: bytes) -> None:
    assert scrub_raw(raw, form, "truncate", keeps_user_agent=False) == kept


@pytest.mark.parametrize(
    ("form", "raw"),
    [
        (Form.JSON, b'{"ip":"203.0.113.7"'),
        (Form.JSON, b"ip: 203.0.113.7"),
        (Form.JSON, b'{"ip":"203.0.113.7","x":"\xff"}'),
        (Form.JSON, b'[{"ip":"203.0.113.7"},'),
        (Form.JSON, b'[{"ip":"203.0.113.7"},"\xff"]'),
        (Form.JSON, b"\x1f\x8b203.0.113.7"),
        (Form.NDJSON, b'{"ip":"203.0.113.7"'),
        (Form.QUERY, b'ea=a&context={"ip":"203.0.113.7"'),
        (Form.FORM, b"ea=a&context=%7B%22ip%22:%22203.0.113.7%22"),
        (Form.FORM, b'ea=a&context={"ip":"203.0.113.7","x":"%ff"}'),
    ],
)
@pytest.mark.parametrize("ip", ["truncate", "drop"])
def test_unparsable_bytes_are_not_kept(form: Form, raw: bytes, ip: IpRule) -> None:
    assert scrub_raw(raw, form, ip, keeps_user_agent=True) == b""
    assert scrub_raw(raw, form, "full", keeps_user_agent=True) == raw


_MIB_5 = 5 << 20


@pytest.mark.parametrize(
    ("form", "raw"),
    [
        (Form.JSON, b"[" + b"1," * (_MIB_5 // 2 - 10) + b'"\xff"]'),
        (Form.JSON, b"[[" + b"1," * (_MIB_5 // 2 - 10) + b"1]]"),
        (Form.JSON, b"[" + b"1," * 500_000 + b"1]"),
        (Form.JSON, b"[" + b'"' * _MIB_5),
        (Form.JSON, b'[{"ip":1,' + b",".join(b'"%x":{"ip":1}' % number for number in range(280_000)) + b"}]"),
        (Form.NDJSON, b'{"ip":1}\n' * (_MIB_5 // 9)),
        (Form.NDJSON, b"\n" * _MIB_5),
        (Form.QUERY, b"ea=a&ec=b" + b"&" * 190_000),
        (Form.FORM, b"ea=a&ec=b&" + b"a&" * 97_000),
    ],
)
def test_bytes_over_all_settings_leave_nothing_in_memory_or_in_dead_letters(form: Form, raw: bytes) -> None:
    scrub_raw(b'[{"ip":1}]', Form.JSON, "drop", keeps_user_agent=False)
    tracemalloc.start()
    try:
        assert scrub_raw(raw, form, "drop", keeps_user_agent=False) == b""
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * _MIB_5


def test_an_event_or_a_batch_is_kept_up_to_the_highest_setting() -> None:
    limits = Limits(event_bytes=128 << 10, batch_events=10_000)
    whole = b'{"x":"%b"}' % (b"x" * (limits.event_bytes - 8))
    assert scrub_raw(whole, Form.JSON, "drop", keeps_user_agent=False) == whole
    assert scrub_raw(b" " + whole, Form.JSON, "drop", keeps_user_agent=False) == b""
    assert scrub_raw(b"[1, %b ]" % (b" " + whole), Form.JSON, "drop", keeps_user_agent=False) == b"[1,%b]" % whole
    batch = [b"{}"] * limits.batch_events
    assert scrub_raw(b"[%b]" % b",".join(batch), Form.JSON, "drop", keeps_user_agent=False).count(b"{}") == len(batch)
    assert scrub_raw(b"[%b]" % b",".join([*batch, b"1"]), Form.JSON, "drop", keeps_user_agent=False) == b""


def test_a_query_is_kept_up_to_the_limit_of_parameters() -> None:
    query = b"&".join([b"a=1"] * 1000)
    assert scrub_raw(query, Form.QUERY, "drop", keeps_user_agent=False) == query
    assert scrub_raw(query + b"&", Form.QUERY, "drop", keeps_user_agent=False) == b""


@pytest.mark.parametrize("form", [Form.JSON, Form.NDJSON])
def test_an_element_of_a_batch_is_one_event_whatever_its_bytes(form: Form) -> None:
    def kept(raw: bytes) -> bytes:
        return scrub_raw(raw, form, "drop", keeps_user_agent=True, is_element=True)

    assert kept(b'{"ip":"203.0.113.7"}') == b"{}"
    assert kept(b'[{"a":1} ,7]') == b'[{"a":1} ,7]'
    assert kept(b'{"ip":"203.0.113.7"') == b""


def test_addresses_over_the_limit_are_removed() -> None:
    event = b"{%b}" % b",".join(b'"%bip":"203.0.113.7"' % (b"_" * number) for number in range(40))
    assert _scrubbed(event).count(b'"203.0.113.0"') == 16


# Through the endpoint


def test_a_dead_letter_of_unparsable_bytes_has_only_the_reason(tmp_path: Path) -> None:
    async def run() -> None:
        async with live_intake(tmp_path) as logs:
            served = endpoint(logs, PropertySettings(1, 2, required=("ea",), ip="drop"))
            await ask(served, "POST", PAIR, b'{"ip":"203.0.113.7"')
            batch = b'{"ea":"a"}\n{"ip":"203.0.113.7"'
            await ask(served, "POST", PAIR, batch, content_type="application/x-ndjson")
            assert [(each["raw"], bool(each["reason"])) for each in logs.dead] == [("", True), ("", True)]

    asyncio.run(run())


@pytest.mark.parametrize("body", [None, b'{"ea":"a","context":{"ip":"203.0.113.7"},"ua":"A/1"}'])
def test_a_property_that_keeps_no_address_stores_none_from_any_part_of_a_request(
    tmp_path: Path, body: bytes | None
) -> None:
    prop = PropertySettings(1, 2, required=("ea",), ip="drop", user_agent="drop")
    query = PAIR if body else PAIR + '&ea=a&ua=A/1&context={"ip":"203.0.113.7"}'

    async def run() -> None:
        async with live_intake(tmp_path) as logs:
            served = endpoint(logs, prop)
            method = "POST" if body else "GET"
            assert (await ask(served, method, query, body, user_agent="A/1")).status == 200
            assert (
                await ask(served, method, query.replace("ea=a", "b=a"), body and body.replace(b"ea", b"b"))
            ).status == 400
            assert (await ask(served, "POST", PAIR, b"[%b,{}]" % (body or b'{"ea":"a","ip":1}'))).status == 200
            assert (await ask(served, "POST", PAIR, b'[{"ip":"203.0.113.7"}]')).status == 400
            lines = "".join(json.dumps(each) for each in logs.stored + logs.dead)
            assert (len(logs.stored), len(logs.dead)) == (2, 3)
            assert [each["event"].get("context") for each in logs.stored] == ([{}, {}] if body else [{}, None])
            assert "203.0.113" not in lines
            assert "A/1" not in lines

    asyncio.run(run())


def test_a_property_that_keeps_all_stores_the_event_byte_for_byte(tmp_path: Path) -> None:
    event = b'{"ea":"a", "ip" : "203.0.113.7","ip":"203.0.113.7","context":{"userAgent":"A/1"}}'

    async def run() -> None:
        async with live_intake(tmp_path) as logs:
            served = endpoint(logs, PropertySettings(1, 2, required=("ea",)))
            for body in (event, b"[%b]" % event):
                assert (await ask(served, "POST", PAIR, body)).status == 200

    asyncio.run(run())
    stored = (tmp_path / "log/00/current.ndjson").read_bytes()
    assert stored.count(b'"event":' + event + b"}\n") == 2
