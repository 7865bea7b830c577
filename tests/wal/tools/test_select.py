"""Whatever stands in a line, choosing and printing it never fails, and a value never passes for another one."""

import json
import re
from datetime import UTC, datetime, timedelta
from unicodedata import category

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wal.logs import START_MS
from wal.format import BLOCK_KIND, Header
from wal.segment import Block
from wal.tools.select import Selection, parse_end, parse_time

_NOW_MS = 1_800_000_000_000
_ANYTHING = st.text(st.characters(exclude_categories=()))
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _ANYTHING,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_ANYTHING | st.sampled_from("ab"), inner, max_size=3),
)
_RECORDS = st.fixed_dictionaries({}, optional={"a": _JSON, "event": _JSON})
_LINES = st.one_of(
    st.binary().filter(lambda line: b"\n" not in line),
    _JSON.map(lambda value: json.dumps(value).encode()),
    _RECORDS.map(lambda record: json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogatepass")),
    _RECORDS.map(lambda record: json.dumps(record).encode()),
)
_PATHS = st.lists(_ANYTHING | st.sampled_from(["a", "event", "a.0", "a.-1", "a.b.0", "event.a.b", ""]), min_size=1)

_UNREADABLE = [
    b"",
    b"nonsense",
    b'{"a":1',
    b"[1]",
    b"1",
    b'"text"',
    b"null",
    b"\xff\xfe{",
    b"{\x00\x00\x00",
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'{"a":%b}' % (b"[" * 100_000 + b"]" * 100_000),
]


def _block(*lines: bytes) -> Block:
    payload = b"".join(line + b"\n" for line in lines)
    return Block(Header(BLOCK_KIND, b"0" * 16, 1, 148, 1, len(lines), len(payload), 0, START_MS, 0, 0, 0), payload)


def _columns(fields: list[str], *lines: bytes) -> list[list[str]]:
    """The values that are printed of each line, as they are printed."""
    printed = b"".join(Selection(fields=tuple(fields)).lines(_block(*lines))).decode()
    return [row.split("\t") for row in printed.split("\n")[:-1]]


def _unescaped(column: str) -> bytes:
    """The value that a column stands for, in UTF-16, which has no other form for a pair of surrogates."""
    short = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}
    text = re.sub(
        r"\\(?:u([0-9a-f]{4})|(.))", lambda found: chr(int(found[1], 16)) if found[1] else short[found[2]], column
    )
    return text.encode("utf-16", "surrogatepass")


@settings(deadline=None)
@given(st.lists(_LINES, max_size=3), _PATHS)
def test_any_line_is_printed_as_one_line_of_as_many_columns_as_fields(lines: list[bytes], paths: list[str]) -> None:
    rows = _columns(paths, *lines)
    assert [len(row) for row in rows] == [len(paths)] * len(lines)
    shown = {category(char) for row in rows for column in row for char in column}
    assert not shown & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@settings(deadline=None)
@given(st.lists(_LINES, max_size=3), _PATHS, _ANYTHING)
def test_any_line_is_chosen_or_not_and_comes_out_as_it_is(lines: list[bytes], paths: list[str], value: str) -> None:
    chosen = Selection(where=tuple((path, value) for path in paths)).chosen(_block(*lines))
    assert all(line == lines[sequence - 1] + b"\n" for sequence, line in chosen)


@settings(deadline=None)
@given(_ANYTHING)
def test_a_string_can_be_read_back_from_its_column(text: str) -> None:
    [[column]] = _columns(["a"], json.dumps({"a": text}).encode())
    assert _unescaped(column) == text.encode("utf-16", "surrogatepass")


def test_a_value_can_fake_neither_a_column_nor_a_line() -> None:
    line = json.dumps({"a": "x\ty\nz\r\\n\x1b[2J\u202e", "b": {"c": "x\ty\nz\u202e"}}, ensure_ascii=False).encode()
    assert _columns(["a", "b"], line) == [
        ["x\\ty\\nz\\r\\\\n\\u001b[2J\\u202e", '{"c":"x\\ty\\nz\\u202e"}'],
    ]


@pytest.mark.parametrize("line", _UNREADABLE, ids=lambda line: repr(line[:12]))
def test_a_line_that_is_not_a_json_object_is_not_chosen_has_empty_columns_and_is_counted(line: bytes) -> None:
    block = _block(b'{"a":1}', line)
    unreadable: list[int] = []
    assert list(Selection(fields=("a", "b")).lines(block, unreadable.append)) == [b"1\tnull\n", b"\t\n"]
    assert list(Selection(where=(("a", "null"),)).lines(block, unreadable.append)) == []
    assert unreadable == [2, 2]
    assert list(Selection().lines(block, unreadable.append)) == [b'{"a":1}\n', line + b"\n"]
    assert unreadable == [2, 2], "nobody needed its values"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"a":"\\ud800"}', "\\ud800"),
        (b'{"a":"\xff"}', "\\udcff"),
        (b'{"a":"\x1b\t"}', "\\u001b\\t"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":%b}' % (b"9" * 5000), "9" * 5000),
        (b'{"a":%b1%b}' % (b"[" * 60, b"]" * 60), "[" * 60 + "1" + "]" * 60),
        (b'{"a":"%b"}' % (b"x" * 1_000_000), "x" * 1_000_000),
    ],
    ids=["surrogate", "not UTF-8", "raw control character", "NaN", "long number", "nested", "long string"],
)
def test_an_odd_value_is_printed(line: bytes, expected: str) -> None:
    assert _columns(["a"], line) == [[expected]]


@pytest.mark.parametrize(
    ("path", "value", "sequences"),
    [
        ("event_id", "e-1", [1, 2]),
        ("event.event_id", "e-1", [2]),
        ("event_id", "null", [3]),
        ("dialect", "segment", [1]),
        ("occurred_at", "1714561200000", [1, 3]),
    ],
)
def test_an_id_of_a_client_its_dialect_and_its_time_are_found_in_the_record(
    path: str, value: str, sequences: list[int]
) -> None:
    """A key of the request is an id in the record alone."""
    lines = (
        b'{"occurred_at":1714561200000,"event_id":"e-1","dialect":"segment","event":{"ea":"view"}}',
        b'{"occurred_at":1714561200001,"event_id":"e-1","event":{"event_id":"e-1","et":1714561200001}}',
        b'{"occurred_at":1714561200000,"event":{"et":"2024"}}',
    )
    chosen = Selection(where=((path, value),)).chosen(_block(*lines))
    assert [sequence for sequence, _ in chosen] == sequences


@pytest.mark.parametrize("path", ["a.-1", "a.+1", "a. 1", "a.1_0", "a.\u0660", "a.x", "a.", "a.9", "a." + "9" * 5000])
def test_an_index_is_digits_and_counts_from_the_first_element(path: str) -> None:
    assert _columns([path, "a.1"], b'{"a":["x","y"]}') == [["null", "y"]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10m", _NOW_MS - 600_000),
        ("10m ago", _NOW_MS - 600_000),
        ("1.5 h ago", _NOW_MS - 5_400_000),
        ("90s", _NOW_MS - 90_000),
        ("2d ago", _NOW_MS - 172_800_000),
        ("1769828400001", 1_769_828_400_001),
        ("2026-01-31T03:00:00Z", 1_769_828_400_000),
        ("2026-01-31t03:00:00z", 1_769_828_400_000),
        ("2026-01-31 03:00:00", 1_769_828_400_000),
        ("2026-01-31 10:00:00+07:00", 1_769_828_400_000),
        ("2026-01-31T03:00", 1_769_828_400_000),
        ("2026-01-31T03:00:00.0019Z", 1_769_828_400_001),
        ("2026-01-31", 1_769_817_600_000),
        ("0001-01-01T00:00+14:00", -62_135_647_200_000),
    ],
)
def test_a_time_is_rfc_3339_unix_ms_or_so_long_ago(text: str, expected: int) -> None:
    assert parse_time(text, _NOW_MS) == expected


@settings(deadline=None)
@given(st.integers(10**12, 10**13 - 1))
def test_a_time_in_ms_is_read_to_the_ms(unix_ms: int) -> None:
    time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=unix_ms)
    assert parse_time(time.isoformat(timespec="milliseconds"), 0) == unix_ms
    assert parse_time(str(unix_ms), 0) == unix_ms


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "10", "10m from now", "m", "1e3s", "9" * 400 + "s", "\u0663m", "17698284000000", "123456789012"],
)
def test_a_text_that_is_not_a_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a time; expected e\.g\. 2026-01-31T03:00Z, 10m or Unix ms"):
        parse_time(text, _NOW_MS)


def test_unix_seconds_are_refused_since_they_may_be_meant_as_ms() -> None:
    with pytest.raises(
        ValueError, match=r"'1769828400' looks like Unix seconds; expected Unix ms, e\.g\. 1769828400000"
    ):
        parse_time("1769828400", _NOW_MS)


def test_the_ends_of_logs_leave_out_later_events_and_all_of_other_logs() -> None:
    block = _block(b'{"a":1}', b'{"a":2}', b'{"a":3}')
    for ends, expected in {((b"0" * 16, 3),): [1, 2], ((b"1" * 16, 9),): [], (): [1, 2, 3]}.items():
        assert [sequence for sequence, _ in Selection(ends=ends).chosen(block)] == expected


@pytest.mark.parametrize("text", ["", "3", "3f9c2a7100112233", "3f9c2a7100112233=", "3f9c2a7100112233=-1", "x=1"])
def test_the_end_of_a_log_is_its_id_and_a_sequence(text: str) -> None:
    assert parse_end("3f9c2a7100112233=8813") == (b"3f9c2a7100112233", 8813)
    with pytest.raises(ValueError, match="is not the end of a log"):
        parse_end(text)
