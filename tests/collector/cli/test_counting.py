"""Lines are counted by the same values that `wal cat --where` compares, and in bounded memory."""

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.cli import counting
from collector.cli.counting import GroupCounts
from wal.tools.select import values

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(width=16) | st.sampled_from(["a", "1", "", "ü\\\n"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab0"), inner, max_size=2),
    max_leaves=4,
)
_RECORDS = st.fixed_dictionaries({}, optional={"a": _JSON, "b": _JSON, "event": _JSON})
_LINES = st.one_of(
    st.binary(max_size=8).filter(lambda line: b"\n" not in line),
    _RECORDS.map(lambda record: json.dumps(record).encode()),
    _RECORDS.map(lambda record: json.dumps(record, ensure_ascii=False).encode()),
    st.sampled_from([b'{"a":1,"a":2,"event":{"a":3}}', b'{"a":"\xff"}', b'{"a":1.0}', b'{"a":%b}' % (b"9" * 5000)]),
)
_FIELDS = st.lists(
    st.sampled_from(["a", "b", "a.b", "a.b.a", "a.0", "event", "event.a", "event.event.a", "", "a..b", 'x"\\', "\x00"]),
    min_size=1,
    max_size=3,
)


def _counted(fields: list[str], *lines: bytes) -> GroupCounts:
    counts = GroupCounts(fields)
    for line in lines:
        counts.add(line)
    return counts


@settings(deadline=None)
@given(_FIELDS, st.lists(_LINES, max_size=6))
def test_lines_are_counted_by_the_values_that_where_compares(fields: list[str], lines: list[bytes]) -> None:
    expected = Counter(tuple(found) for line in lines if (found := values(line, fields)) is not None)
    counts = _counted(fields, *(line + b"\n" for line in lines))
    assert dict(counts.groups()) == expected
    assert (counts.total, counts.others) == (expected.total(), 0)
    assert counts.unreadable == len(lines) - expected.total()


def test_the_groups_with_the_most_lines_come_first_and_equal_ones_in_order_of_their_values() -> None:
    lines = [b'{"event":{"ea":"%b"}}' % value for value in (b"c", b"b", b"a", b"b", b"c", b"d", b"c")]
    assert _counted(["ea"], *lines).groups() == [(("c",), 3), (("b",), 2), (("a",), 1), (("d",), 1)]


def test_records_are_counted_by_id_of_the_client_dialect_and_time() -> None:
    lines = [b'{"occurred_at":%d,"event_id":"e","dialect":"segment","event":{"event_id":"e"}}' % at for at in (1, 1, 2)]
    counts = _counted(["event_id", "dialect", "occurred_at"], *lines, b'{"occurred_at":2,"event":{}}')
    assert counts.groups() == [(("e", "segment", "1"), 2), (("e", "segment", "2"), 1), (("null", "null", "2"), 1)]


def test_the_same_text_is_one_group_however_it_is_written() -> None:
    lines = [b'{"event":{"sid":%b}}' % value for value in (b"7", b'"7"', b'"\\u0037"', b" 7 ")]
    assert _counted(["sid"], *lines).groups() == [(("7",), 4)]


def test_lines_of_groups_over_the_number_are_counted_and_the_groups_that_are_held_stay_exact(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counting, "_MOST_GROUPS", 2)
    counts = _counted(["n"], *(b'{"n":%d}' % number for number in (1, 2, 3, 1, 3, 2, 1)))
    assert counts.groups() == [(("1",), 3), (("2",), 2)]
    assert (counts.total, counts.others) == (7, 2)


def test_the_bytes_of_values_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "_MOST_BYTES", 100)
    counts = _counted(["n"], *(b'{"n":"%b"}' % (value * 60) for value in (b"a", b"b", b"a")), b'{"n":1}')
    assert [count for _, count in counts.groups()] == [2, 1]
    assert counts.others == 1


def test_a_path_of_any_length_is_looked_up() -> None:
    assert _counted([".".join("a" * 5000)], b'{"a":1}').groups() == [(("null",), 1)]
