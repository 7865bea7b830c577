"""Bodies to events: every rule of every field, and arbitrary bytes."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from collector.errors import BadEvent, Fault, FieldCode, TooLarge
from collector.ingest.bodies.splitting import batch_in
from collector.ingest.event import Event, decode_event
from collector.settings import Limits

REQUIRED = ("ea", "ec", "sid", "aid", "uid")
LIMITS = Limits(event_bytes=1 << 20)
EVENT: dict[str, Any] = {"ea": "view", "ec": "product", "sid": 6320, "aid": "a-1", "uid": "u-1"}
LONGEST = "é" * 255
EMOJI = "\U0001f600"


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _with(member: bytes) -> bytes:
    """A valid event, with one more member in raw JSON."""
    return b"%b,%b}" % (_json(EVENT)[:-1], member)


def _decode(body: bytes, required: tuple[str, ...] = REQUIRED) -> tuple[Event, bytes]:
    return decode_event(body, required, LIMITS)


def _refused(body: bytes, required: tuple[str, ...] = REQUIRED) -> BadEvent:
    with pytest.raises(BadEvent) as caught:
        _decode(body, required)
    return caught.value


def _fields(error: BadEvent) -> list[str]:
    return [fault.field for fault in error.refusal.faults]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ea", "x"),
        ("ea", LONGEST),
        ("ea", EMOJI * 255),
        ("ea", "\x00"),
        ("ec", " "),
        ("ec", LONGEST),
        ("aid", LONGEST),
        ("uid", LONGEST),
        ("context", {}),
        ("context", {"a": {"b": [1, None, "c"]}}),
        ("extra", {"ea": 1}),
        ("dims", {"mg_campaign": {"id": 1}}),
        ("items", []),
        ("items", [{}, {"id": 1, "items": [1]}]),
    ],
)
def test_a_field_that_keeps_its_rule_is_accepted(field: str, value: object) -> None:
    body = _json({**EVENT, field: value})
    assert _decode(body)[1] == body


_NO_OBJECTS: list[object] = ["", "{}", 1, None, [], [{}]]
_WRONG: dict[str, list[object]] = {
    "ea": ["", "x" * 256, 1, 1.5, None, True, [], {}],
    "ec": ["", "x" * 256, 1, 1.5, None, True, [], {}],
    "aid": ["", "x" * 256, 1.5, 1e300, None, False, ["x"], {}],
    "uid": ["", "x" * 256, 1.5, 1e300, None, False, ["x"], {}],
    "sid": [
        *(-1, 2**63, 2**64, 10**30, 1.5, 1.0, None, True, [1], {}),
        *("", " ", "-1", "+1", "1.0", "0x1", "1e3", " 1", "1\n", "1_0", "abc", "\u0661", "\u00b2"),
        *(str(2**63), "9" * 5000, "0" * 5000),
    ],
    "context": _NO_OBJECTS,
    "extra": _NO_OBJECTS,
    "dims": _NO_OBJECTS,
    "items": ["[]", 1, None, {}, [1], [None], [{}, []], [[{}]]],
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in _WRONG.items() for value in values])
def test_a_field_that_breaks_its_rule_is_named(field: str, value: object) -> None:
    error = _refused(_json({**EVENT, field: value}))
    assert _fields(error) == [field]
    assert error.refusal.faults[0].message.startswith("expected ")


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        *[("ea", value, FieldCode.WRONG_TYPE) for value in (1, None, True, 1.5)],
        ("ea", "", FieldCode.TOO_SHORT),
        ("ec", "x" * 256, FieldCode.TOO_LONG),
        ("aid", "", FieldCode.TOO_SHORT),
        ("aid", "x" * 256, FieldCode.TOO_LONG),
        ("uid", 10**255, FieldCode.TOO_LONG),
        ("uid", 1.5, FieldCode.WRONG_TYPE),
        *[("sid", value, FieldCode.OUT_OF_RANGE) for value in (-1, 2**63, 10**30, str(2**63), "0" * 5000)],
        *[("sid", value, FieldCode.MALFORMED) for value in ("", "-1", "abc", "\u0661")],
        ("sid", 1.5, FieldCode.WRONG_TYPE),
        ("context", [], FieldCode.WRONG_TYPE),
        ("items", {}, FieldCode.WRONG_TYPE),
        ("items", [{}, 1], FieldCode.WRONG_TYPE),
    ],
)
def test_a_fault_has_the_code_of_its_kind(field: str, value: object, code: FieldCode) -> None:
    assert [fault.code for fault in _refused(_json({**EVENT, field: value})).refusal.faults] == [code]


@pytest.mark.parametrize("field", REQUIRED)
def test_a_required_field_that_is_missing_is_named(field: str) -> None:
    error = _refused(_json({name: value for name, value in EVENT.items() if name != field}))
    assert error.refusal.faults == (Fault(field, FieldCode.MISSING, "missing"),)


def test_all_faults_are_named_at_once() -> None:
    wrong = {"ea": "", "sid": "x", "uid": 1.5, "context": 1, "extra": [], "dims": "x", "items": {}, "et": 1}
    error = _refused(_json(wrong))
    assert _fields(error) == ["ea", "ec", "sid", "aid", "uid", "context", "extra", "dims", "items"]
    assert [fault.message == "missing" for fault in error.refusal.faults] == [False, True, False, True, *[False] * 5]


def test_a_wrong_field_beside_bytes_that_are_not_utf8_is_refused() -> None:
    assert "not UTF-8" in _refused(b'{"ea":1,"x":"\xff"}').refusal.message


@pytest.mark.parametrize("sid", [0, 1, 2**31 - 1, 2**31, 2006252258, 9912312359, 2**53 + 1, 2**63 - 1], ids=str)
@pytest.mark.parametrize("form", ["%d", '"%d"', '"00%d"'])
def test_sid_is_an_integer_or_its_digits_and_is_kept_as_sent(sid: int, form: str) -> None:
    member = f'"sid":{form % sid}'
    event, line = _decode(f'{{"ea":"a","ec":"c",{member},"aid":"x","uid":"u"}}'.encode())
    assert event.sid == sid
    assert member.encode() in line


@pytest.mark.parametrize("value", [0, 7, -5, 38400000, 2**53 + 1, 2**64, 10**40])
@pytest.mark.parametrize("field", ["aid", "uid"])
def test_an_integer_stands_for_its_decimal_string_and_is_kept_as_sent(field: str, value: int) -> None:
    event, line = _decode(_json({**EVENT, field: value}))
    assert str(getattr(event, field)) == str(value)
    assert json.loads(line)[field] == value


@pytest.mark.parametrize("field", ["sid", "aid", "uid"])
def test_an_integer_of_thousands_of_digits_is_refused_in_a_field_and_kept_elsewhere(field: str) -> None:
    digits = b"9" * 5000
    assert _fields(_refused(b'{"%b":%b}' % (field.encode(), digits), required=())) == [field]
    body = _with(b'"n":' + digits)
    assert _decode(body)[1] == body


@pytest.mark.parametrize(
    ("required", "event"),
    [((), {}), (("ea", "ec"), {"ea": "sale", "ec": "till"}), (("uid",), {"uid": 1}), (("sid",), {"sid": "0"})],
)
def test_a_property_can_require_fewer_fields(required: tuple[str, ...], event: dict[str, Any]) -> None:
    body = _json(event)
    decoded, line = _decode(body, required)
    assert line == body
    assert all((getattr(decoded, name) is UNSET) is (name not in event) for name in REQUIRED)


@pytest.mark.parametrize("field", REQUIRED)
def test_a_field_that_is_not_required_still_obeys_its_rule(field: str) -> None:
    assert _fields(_refused(_json({field: None}), required=())) == [field]


@pytest.mark.parametrize(
    "body",
    [
        _with(b'"et":"2020-06-25 22:58:01","en":null,"ev":1.50,"utm_source":["a",{"b":false}]'),
        _with(b'"n":123456789012345678901234567890,"f":1e400,"g":-0.10E+05,"z":-0'),
        _with(b'"s":"\\u0041\\/\\b\\ud83d\\ude00","nul":"\\u0000","sep":"\xe2\x80\xa8\xe2\x80\xa9\x7f"'),
        _with(b'"a":1,"a":2,"":3,"EA":4'),
        _with(b'"ea":"later"'),
        _with('"ключ":"значение 😀"'.encode()),
        b'  { "ea" : "a",\t"ec":"c" ,"sid": 1,"aid":"x","uid":"u" }  ',
    ],
)
def test_an_event_on_one_line_is_stored_byte_for_byte(body: bytes) -> None:
    assert _decode(body)[1] == body


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_a_pretty_printed_event_becomes_one_line_and_is_otherwise_stored_as_sent(line_break: str) -> None:
    numbers = '"big": 123456789012345678901234567890, "f": 1.50, "e": 1E400, "s": "\\u0041 \\n é  {", "a": 1, "a": 2'
    pretty = json.dumps({**EVENT, "dims": {"a": [1, {}]}}, indent=2)[:-2] + f",\n{numbers}\n}}\n"
    _, line = _decode(pretty.replace("\n", line_break).encode())
    assert not set(b"\r\n") & set(line)
    assert json.loads(line) == json.loads(pretty)
    for as_sent in ("123456789012345678901234567890", "1.50", "1E400", '"\\u0041 \\n é  {"', '"a":1,"a":2'):
        assert as_sent.encode() in line


def test_the_last_of_repeated_members_counts_as_for_other_readers() -> None:
    event, line = _decode(_with(b'"sid":"7","ea":"later"'))
    assert (event.sid, event.ea) == (7, "later")
    assert json.loads(line)["ea"] == "later"
    assert _fields(_refused(_with(b'"ea":""'))) == ["ea"]


@pytest.mark.parametrize("body", [b"[]", b"[{}]", b'"x"', b"1", b"-1.5", b"null", b"true", b" [ ] "])
def test_a_value_that_is_not_an_object_is_refused(body: bytes) -> None:
    assert _refused(body).refusal.message == "expected one JSON object, the event"


def test_an_empty_body_and_an_event_over_its_limit_are_refused() -> None:
    with pytest.raises(BadEvent, match="carries no event"):
        _decode(b"")
    body = _with(b'"x":"y"')
    assert decode_event(body, (), Limits(event_bytes=len(body)))[1] == body
    with pytest.raises(TooLarge, match=f"over the limit of {len(body) - 1} bytes"):
        decode_event(body, (), Limits(event_bytes=len(body) - 1))


@pytest.mark.parametrize(
    "body",
    [
        b" ",
        b"{",
        b"}",
        b'{"ea"}',
        b'{"ea":"view",}',
        b'{"ea":"view"',
        b"{'ea':'view'}",
        b"{ea:1}",
        b"{}{}",
        b"{} x",
        b"\x00",
        b"{}\x00",
        b"\xef\xbb\xbf{}",
        b"ea=view&ec=product",
        b"<event/>",
        *(
            _with(b'"x":' + value)
            for value in (
                *(b"", b"tru", b"NaN", b"Infinity", b"-", b"+1", b"01", b"1.", b".5", b"1e", b"0x1", b"[1,]", b"[1 2]"),
                *(b'"', b'"\x00"', b'"\n"', b'"\t"', b'"\x1f"', b'"\\q"', b'"\\u12"', b'"\\u12g4"', b"\x0b1", b"/**/1"),
            )
        ),
    ],
)
def test_json_malformed_at_any_place_is_refused(body: bytes) -> None:
    error = _refused(body, required=())
    assert error.refusal.message.startswith("the body is not JSON: ")
    assert error.refusal.faults == ()


SURROGATES = (b"\\ud800", b"\\udc00", b"\\udc00\\ud800", b"\\ud800 and on", b"\\ud800\\u0041", b"\\uD83D\\uD83D")


@pytest.mark.parametrize("text", SURROGATES)
@pytest.mark.parametrize("place", [b'{"ea":"%b"}', b'{"x":"%b"}', b'{"%b":1}', b'{"items":[{"x":["%b"]}]}'])
def test_a_lone_surrogate_is_refused(place: bytes, text: bytes) -> None:
    _refused(place % text, required=())


@pytest.mark.parametrize("text", [b"\xff", b"\xe9", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"ok \xe2\x82"])
@pytest.mark.parametrize("place", [b'{"ea":"%b"}', b'{"x":"%b"}', b'{"%b":1}', b'{"dims":{"a":["%b"]}}', b'{"x":1}%b'])
def test_bytes_that_are_not_utf8_are_refused_in_every_place(place: bytes, text: bytes) -> None:
    _refused(place % text, required=())


@pytest.mark.parametrize("brackets", [(b"[", b"]"), (b'{"a":', b"}")])
def test_sixty_four_levels_are_accepted_and_one_more_is_refused(brackets: tuple[bytes, bytes]) -> None:
    def nested(levels: int) -> bytes:
        left, right = brackets
        return b'{"x":' + left * (levels - 1) + b"1" + right * (levels - 1) + b"}"

    for levels in (1, 2, 63, 64):
        assert _decode(nested(levels), ())[1] == nested(levels)
        beside = b'{"y":[{},[[]],"["],%b' % nested(levels)[1:]
        assert _decode(beside, ())[1] == beside
    for levels in (65, 66, 500):
        assert _refused(nested(levels), ()).refusal.message == "the event is nested deeper than 64 levels"


@pytest.mark.parametrize(
    "body",
    [
        b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"x":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"x":' * 100_000,
        b"[" * 100_000,
        b'{"ea":"' + b"[" * 100_000,
    ],
)
def test_a_hundred_thousand_levels_are_refused(body: bytes) -> None:
    _refused(body, ())


def test_brackets_in_strings_and_side_by_side_do_not_nest() -> None:
    body = _with(b'"x":"%b \\" %b","y":[%b{}]' % (b"[" * 200, b"{" * 200, b"[],{}," * 200))
    assert _decode(body)[1] == body


def test_the_limit_of_levels_can_be_lower() -> None:
    assert decode_event(b'{"x":1}', (), Limits(nesting=1))[1] == b'{"x":1}'
    with pytest.raises(BadEvent, match="deeper than 1 levels"):
        decode_event(b'{"x":{}}', (), Limits(nesting=1))


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_NAMES = st.sampled_from([*REQUIRED, "context", "extra", "dims", "items"]) | st.text(max_size=8)
_OBJECTS = st.builds(dict.__or__, st.sampled_from([{}, EVENT]), st.dictionaries(_NAMES, _VALUES, max_size=6))


@settings(deadline=None, max_examples=300)
@given(
    value=_OBJECTS,
    indent=st.sampled_from([None, 0, 2]),
    is_ascii=st.booleans(),
    required=st.sampled_from([(), REQUIRED]),
)
def test_any_object_is_refused_or_kept_as_the_same_value_on_one_line(
    value: dict[str, Any], indent: int | None, is_ascii: bool, required: tuple[str, ...]
) -> None:
    body = json.dumps(value, indent=indent, ensure_ascii=is_ascii).encode()
    try:
        _, line = _decode(body, required)
    except BadEvent:
        return
    assert json.loads(line) == value
    assert not set(b"\r\n") & set(line)


@settings(deadline=None, max_examples=300)
@given(value=st.dictionaries(st.text(max_size=8).map("x_".__add__), _VALUES, max_size=6))
def test_any_unknown_fields_in_a_valid_event_are_accepted(value: dict[str, Any]) -> None:
    body = _json({**EVENT, **value})
    assert _decode(body)[1] == body


@settings(deadline=None, max_examples=300)
@given(st.binary() | st.binary().map(lambda raw: b'{"x":"%b"}' % raw))
def test_arbitrary_bytes_are_accepted_as_json_or_refused(body: bytes) -> None:
    try:
        _, line = _decode(body, ())
    except BadEvent:
        return
    assert json.loads(line) == json.loads(body)
    assert b"\n" not in line


@pytest.mark.parametrize(
    "rest",
    [b",", b",b}", b"}x", b"}{}", b' "x"}', b',"x":"\\ud800"}', b',"x":"\n"}', b',"x":tru}', b',"x":' + b"[" * 100_000],
)
def test_a_wrong_field_before_malformed_json_is_refused(rest: bytes) -> None:
    with pytest.raises(BadEvent):
        decode_event(b'{"ea":1' + rest, (), LIMITS)


_SOUND = b'{"ea":"a","ec":"c","sid":1,"aid":"x","uid":"u","items":[{"a":[1.5,"\\u00e9"]}],"dims":{"b":null}}'
_PIECES = st.sampled_from([b"", b'"', b"1", b",", b"\xff", b"\\", b"[", b"}", b"\n"])


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(_SOUND)), st.integers(0, 2), _PIECES), min_size=1, max_size=4))
def test_an_event_damaged_anywhere_is_accepted_as_json_or_refused(cuts: list[tuple[int, int, bytes]]) -> None:
    body = _SOUND
    for at, length, piece in cuts:
        body = body[:at] + piece + body[at + length :]
    try:
        _, line = decode_event(body, (), LIMITS)
    except BadEvent:
        return
    assert json.loads(line) == json.loads(body)
    assert b"\n" not in line


@pytest.mark.parametrize(("value", "is_taken"), [(10**255 - 1, True), (10**255, False), (-(10**254), False)])
def test_an_integer_id_is_no_longer_than_a_string(value: int, is_taken: bool) -> None:
    body = b'{"uid":%d}' % value
    if is_taken:
        assert decode_event(body, (), LIMITS)[0].uid == value
    else:
        with pytest.raises(BadEvent) as refused:
            decode_event(body, (), LIMITS)
        assert [fault.field for fault in refused.value.refusal.faults] == ["uid"]


def _batch(body: bytes, *, is_ndjson: bool = False, limit: int = 3) -> list[bytes] | None:
    batch = batch_in(body, limit, is_ndjson=is_ndjson)
    return None if batch is None else batch.events


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b"[{}]", [b"{}"]),
        (b" \r\n\t[ {} , {} ] ", [b"{}", b"{}"]),
        (b'[{"a":[1,"]"]},7,"x"]', [b'{"a":[1,"]"]}', b"7", b'"x"']),
        (b"[[],null,[[{}]]]", [b"[]", b"null", b"[[{}]]"]),
        (b'[{"ea": "a"},{"ea":1.50}]', [b'{"ea": "a"}', b'{"ea":1.50}']),
        ('[{"ea":"é"}]'.encode(), ['{"ea":"é"}'.encode()]),
    ],
)
def test_an_array_is_a_batch_of_its_elements_as_sent(body: bytes, events: list[bytes]) -> None:
    assert _batch(body) == events


@pytest.mark.parametrize(
    "body", [b"{}", b' {"a":[1]}', b"", b" ", b"7", b'"["', b"ea=view", b"\xff", b"\xef\xbb\xbf[]"]
)
def test_any_other_body_is_not_a_batch(body: bytes) -> None:
    assert _batch(body) is None


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b"{}", [b"{}"]),
        (b"{}\n", [b"{}"]),
        (b"{}\n{}", [b"{}", b"{}"]),
        (b"{}\r\n{}\r\n", [b"{}", b"{}"]),
        (b"\n\n{}\n \n\t\r\n{}\n\n", [b"{}", b"{}"]),
        (b'  {"a":1}  \n\t{}', [b'{"a":1}', b"{}"]),
        (b"[]\n7\njunk", [b"[]", b"7", b"junk"]),
        (b"{}\n\xff\n{}", [b"{}", b"\xff", b"{}"]),
        ('{"a":"\u2028 \x85"}\n{}'.encode(), ['{"a":"\u2028 \x85"}'.encode(), b"{}"]),
    ],
)
def test_each_line_that_is_not_blank_is_an_event(body: bytes, events: list[bytes]) -> None:
    assert [line.strip() for line in _batch(body, is_ndjson=True) or []] == events


def test_a_line_that_ends_in_crlf_is_a_valid_event() -> None:
    (line,) = _batch(_json(EVENT) + b"\r\n", is_ndjson=True) or []
    assert _decode(line)[1] == _json(EVENT)


@pytest.mark.parametrize(("body", "is_ndjson"), [(b"[]", False), (b" [ ] ", False), (b"", True), (b"\r\n \n", True)])
def test_an_empty_batch_is_refused(body: bytes, is_ndjson: bool) -> None:
    with pytest.raises(BadEvent, match="no event"):
        _batch(body, is_ndjson=is_ndjson)


@pytest.mark.parametrize(
    ("left", "between", "right", "is_ndjson"), [(b"[", b",", b"]", False), (b"", b"\n", b"\n", True)]
)
def test_a_batch_has_events_up_to_the_limit(left: bytes, between: bytes, right: bytes, is_ndjson: bool) -> None:
    def batch(events: int) -> bytes:
        return left + between.join([b"{}"] * events) + right

    assert len(_batch(batch(3), is_ndjson=is_ndjson) or []) == 3
    for events in (4, 100_000):
        with pytest.raises(TooLarge, match="limit of 3 events"):
            _batch(batch(events), is_ndjson=is_ndjson)


@pytest.mark.parametrize(
    "body",
    [
        *(b"[", b"[{}", b"[{},]", b"[{}]]", b"[{}] {}", b"[{}{}]", b"[{},,{}]", b"[nul]", b'[{"a":}]', b"[{}]\x00"),
        *(b'[{"a":"\xff"}]', b'[{},"\xed\xa0\x80"]', b"[{}]\xff", b"[" * 100_000, b"[" * 500 + b"]" * 500 + b"}"),
        *(b"[" * 100_000 + b"]" * 100_000, b'[{"a":' * 50_000),
    ],
)
def test_an_array_that_is_malformed_anywhere_is_refused_whole(body: bytes) -> None:
    with pytest.raises(BadEvent):
        _batch(body)


@settings(deadline=None, max_examples=300)
@given(st.lists(_VALUES, min_size=1, max_size=3), st.sampled_from([None, 1]))
def test_any_array_is_split_into_the_values_of_its_elements(values: list[Any], indent: int | None) -> None:
    parts = _batch(json.dumps(values, indent=indent).encode())
    assert parts is not None
    assert [json.loads(part) for part in parts] == values


@settings(deadline=None, max_examples=300)
@given(st.binary() | st.binary().map(b"[{},%b".__mod__), st.booleans())
def test_no_batch_raises_anything_else(body: bytes, is_ndjson: bool) -> None:
    try:
        _batch(body, is_ndjson=is_ndjson)
    except (BadEvent, TooLarge):
        return


@pytest.mark.parametrize(
    ("body", "is_ndjson", "are_lines"),
    [
        (b"[{}]", False, True),
        ('[{"ea":"é"}]'.encode(), False, True),
        (b"[{},\n{}]", False, False),
        (b"[{}\r]", False, False),
        (b"{}\n{}\n", True, True),
        (b"{}\r\n{}", True, False),
        (b'{"a":"\xff"}\n{}', True, False),
    ],
)
def test_a_batch_is_marked_as_lines_only_if_no_event_needs_a_check(
    body: bytes, is_ndjson: bool, are_lines: bool
) -> None:
    batch = batch_in(body, 3, is_ndjson=is_ndjson)
    assert batch
    assert batch.are_lines is are_lines


def test_bytes_that_are_not_utf8_are_found_in_a_skipped_line_too() -> None:
    batch = batch_in(b'{"x":"\xff"}\n{"x":"a"}', 3, is_ndjson=True)
    assert batch
    with pytest.raises(BadEvent, match="not UTF-8"):
        decode_event(batch.events[0], (), LIMITS, is_line=batch.are_lines)
    assert decode_event(batch.events[1], (), LIMITS, is_line=batch.are_lines)[1] == b'{"x":"a"}'
