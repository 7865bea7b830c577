"""Queries and forms: junk in real links, JSON fields, and that a value is never more than one member."""

import json
from typing import Any
from urllib.parse import quote_plus, unquote_to_bytes

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collector.ingest.event import decode_event
from collector.ingest.query import (
    PARAMETERS,
    Pairs,
    event_of,
    is_form_over,
    parse_pairs,
    warnings_of,
    without_secrets,
)
from collector.settings import Limits


def _event(query: bytes) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(event_of(parse_pairs(query)))
    return event


@pytest.mark.parametrize(
    ("query", "values"),
    [
        (b"", {}),
        (b"&&&", {}),
        (b"a=1", {"a": "1"}),
        (b"a=1&b=2", {"a": "1", "b": "2"}),
        (b"&a=1&&b=2&", {"a": "1", "b": "2"}),
        (b"a", {"a": ""}),
        (b"a=", {"a": ""}),
        (b"=1", {"": "1"}),
        (b"a=b=c", {"a": "b=c"}),
        (b"a=1;b=2", {"a": "1;b=2"}),
        (b"a%5Fb=%26%3D%25", {"a_b": "&=%"}),
        (b"a=%zz", {"a": "%zz"}),
        (b"a=%", {"a": "%"}),
        (b"a=%2", {"a": "%2"}),
        (b"a=100%&b=20%25", {"a": "100%", "b": "20%"}),
        (b"a=20% - New", {"a": "20% - New"}),
        (b"a=%u00e9", {"a": "%u00e9"}),
        (b"a=x+y%2Bz", {"a": "x y+z"}),
        (b"a+b=1", {"a b": "1"}),
        (b"a=%C3%A9&b=\xc3\xa9", {"a": "é", "b": "é"}),
        (b"a=%c3%a9", {"a": "é"}),
        (b"a=%F0%9F%98%80", {"a": "\U0001f600"}),
        (b"a=%E9", {"a": "%E9"}),
        (b"a=\xe9", {"a": "%E9"}),
        (b"a=%C3", {"a": "%C3"}),
        (b"a=%ED%A0%80", {"a": "%ED%A0%80"}),
        (b"a=%C0%80", {"a": "%C0%80"}),
        (b"a=%E9t%C3%A9", {"a": "%E9té"}),
        (b"a=%00%0A%0d", {"a": "\x00\n\r"}),
    ],
)
def test_pairs_are_read_and_invalid_escapes_stay_as_written(query: bytes, values: dict[str, str]) -> None:
    assert parse_pairs(query) == Pairs(values, (), False)


def test_the_first_of_repeated_values_counts_and_a_warning_names_the_parameter() -> None:
    pairs = parse_pairs(b"ea=a&ea=b&ec=c&ea=d&x=1&%78=2&portal_id=1&portal_id=2")
    assert pairs.values == {"ea": "a", "ec": "c", "x": "1", "portal_id": "1"}
    assert pairs.repeated == ("ea", "x", "portal_id")
    assert warnings_of(pairs) == ["only the first ea of the query was read", "only the first x of the query was read"]


@pytest.mark.parametrize(("count", "read", "is_cut"), [(999, 999, False), (1000, 1000, False), (1001, 1000, True)])
def test_a_thousand_pairs_are_read_and_more_are_marked_as_cut(count: int, read: int, is_cut: bool) -> None:
    pairs = parse_pairs(b"&".join(b"n%d=1" % number for number in range(count)))
    assert (len(pairs.values), pairs.is_cut) == (read, is_cut)


@pytest.mark.parametrize(
    ("query", "event"),
    [
        (b"portal_id=1&prop_id=2&resp_type=json&is_s2s=true&queued=1&redirect_url=x&redirect_sig=y&an_session=z", None),
        (b"portal_id=1&ea=view", {"ea": "view"}),
        (b"ea=a+b&et=2020-06-25%2022:58:01", {"ea": "a b", "et": "2020-06-25 22:58:01"}),
        (b"ev=1&n=true&m=null", {"ev": "1", "n": "true", "m": "null"}),
        (b"sid=6320", {"sid": 6320}),
        (b"sid=006320", {"sid": 6320}),
        (b"sid=9223372036854775807", {"sid": 2**63 - 1}),
        (b"sid=", {"sid": ""}),
        (b"sid=-1", {"sid": "-1"}),
        (b"sid=1.5", {"sid": "1.5"}),
        (b"sid=%D9%A1", {"sid": "\u0661"}),
        (b"sid=" + b"9" * 256, {"sid": "9" * 256}),
        (b"aid=38400000&uid=1", {"aid": "38400000", "uid": "1"}),
        (b'dims={"mg_campaign":{"id":1}}', {"dims": {"mg_campaign": {"id": 1}}}),
        (b"dims=%7B%22mg_campaign%22%3A%7B%22id%22%3A1%7D%7D", {"dims": {"mg_campaign": {"id": 1}}}),
        (b'context={"name":"Coupon 20% - New"}', {"context": {"name": "Coupon 20% - New"}}),
        (b'context={%22name%22:"20%25 off"}', {"context": {"name": "20% off"}}),
        (b"items=[]&extra={}", {"items": [], "extra": {}}),
        (b'items=[{"id":1},+{"id":"b"}]', {"items": [{"id": 1}, {"id": "b"}]}),
        (b"context=&extra=%20&ea=x", {"ea": "x"}),
        (b"context=&items=", None),
        (b"items=none", {"items": "none"}),
        (b'context={"a":1', {"context": '{"a":1'}),
        (b'context={"a":1}}', {"context": '{"a":1}}'}),
        (b"context={'a':1}", {"context": "{'a':1}"}),
        (b"dims=7", {"dims": 7}),
        (b'et={"a":1}', {"et": '{"a":1}'}),
        (b"=x", {"": "x"}),
    ],
)
def test_every_other_pair_is_a_field_of_the_event(query: bytes, event: dict[str, Any] | None) -> None:
    assert event_of(parse_pairs(query)) == b"" if event is None else _event(query) == event


def test_a_half_encoded_link_of_an_e_mail_is_an_event() -> None:
    link = (
        b"portal_id=33167&prop_id=2&ea=click&en=click_tracking&ec=advertising&items=[]"
        b'&dims={"mg_campaign":{"id":1}}&context={"name":"Coupon 20% - New"}'
        b"&resp_type=redirect&redirect_url=https%3A%2F%2Fshop.example.com%2F"
    )
    event, _ = decode_event(event_of(parse_pairs(link)), ("ea", "ec"), Limits())
    assert (event.ea, event.ec) == ("click", "advertising")


_JSON_FIELDS = ["context", "extra", "dims", "items"]
_INJECTIONS = [
    '{},"uid":"evil"',
    '{}}{"uid":"evil"',
    '{}}\n{"uid":"evil"}',
    '"x","uid":"evil"',
    '1,"uid":"evil"',
    '{"a":"\n"},"uid":"evil"',
    '[],"uid":["evil"]',
    "{}//",
    "{} {}",
    "{}\x00",
    '{"a":"\x01"}',
    '"\\"',
    "}",
    ",",
    ":",
]


@pytest.mark.parametrize("value", _INJECTIONS)
@pytest.mark.parametrize("field", _JSON_FIELDS)
def test_no_value_breaks_out_of_a_json_field(field: str, value: str) -> None:
    _stays_inside(field, value)


@settings(deadline=None, max_examples=500)
@given(
    field=st.sampled_from([*_JSON_FIELDS, "sid", "ea", "x"]),
    value=st.text() | st.lists(st.sampled_from([*_INJECTIONS, '"', "{", "[", "1", "\\", " "])).map("".join),
)
@example("context", '{"a":1}')
def test_no_value_is_more_than_one_member(field: str, value: str) -> None:
    _stays_inside(field, value)


def _stays_inside(field: str, value: str) -> None:
    raw = event_of(parse_pairs(f"uid=u-1&{field}={quote_plus(value)}&last=1".encode()))
    pairs = json.loads(raw, object_pairs_hook=list, strict=False)
    names = [name for name, _ in pairs]
    is_left_out = field in _JSON_FIELDS and not value.strip()
    assert names == (["uid", "last"] if is_left_out else ["uid", field, "last"])
    assert dict(pairs)["uid"] == "u-1"


@settings(deadline=None, max_examples=500)
@given(st.binary() | st.lists(st.sampled_from([b"sid=", b"items=", b"&", b"%", b"\xff", b"{", b"="])).map(b"".join))
def test_no_query_raises_and_every_event_is_utf8(query: bytes) -> None:
    pairs = parse_pairs(query)
    event = event_of(pairs)
    warnings_of(pairs)
    if event:
        assert not set(json.loads(event.decode(), strict=False)) & set(PARAMETERS)


@settings(deadline=None)
@given(st.dictionaries(st.text(), st.text(), max_size=8))
def test_any_encoded_form_is_decoded_to_its_values(values: dict[str, str]) -> None:
    form = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in values.items()).encode()
    assert parse_pairs(form).values == values


@pytest.mark.parametrize(
    ("query", "rest"),
    [
        (b"a=1&an_session=t&b=2", b"a=1&b=2"),
        (b"an_session=t", b""),
        (b"an_session=1&an_session=2&a", b"a"),
        (b"an%5Fsession=t&a=1", b"a=1"),
        (b"token%5fauth=t&a=1&token_auth=t", b"a=1"),
        (b"x_an_session=t&a=an_session", b"x_an_session=t&a=an_session"),
        (b"&a=%zz&", b"&a=%zz&"),
    ],
)
def test_a_secret_parameter_is_removed_in_every_spelling(query: bytes, rest: bytes) -> None:
    assert without_secrets(query) == rest


_ESCAPES = [
    b"%",
    b"=",
    b"%3D",
    b"%3d",
    b"%25",
    b"%0A",
    b"%0D%0A",
    b"\n",
    b"\r",
    b" ",
    b"_",
    b"+",
    b"4",
    b"G",
    b"\xff",
    b"%%",
]


@given(st.lists(st.sampled_from(_ESCAPES)).map(b"".join))
@example(b"%\n%41")
@example(b"%%41%")
@example(b"%3D=%3D\t ")
def test_escapes_are_decoded_as_by_urllib(text: bytes) -> None:
    expected = (
        unquote_to_bytes(text.replace(b"+", b" "))
        .decode("utf-8", "surrogateescape")
        .translate({0xDC00 + byte: f"%{byte:02X}" for byte in range(128, 256)})
    )
    assert parse_pairs(b"a=" + text).values == {"a": expected}


@pytest.mark.parametrize(
    ("form", "is_over"),
    [
        (b"a=" + b"b" * 98, False),
        (b"a=" + b"b" * 99, True),
        (b"a=" + b"%62" * 98, False),
        (b"a=" + b"%62" * 99, True),
        (b"a=" + b"%" * 298, False),  # malformed: left to the parser
        (b"a=" + b"%" * 299, True),
    ],
)
def test_a_form_is_over_its_limit_whatever_its_escapes_are(form: bytes, is_over: bool) -> None:
    assert is_form_over(form, 100) == is_over
