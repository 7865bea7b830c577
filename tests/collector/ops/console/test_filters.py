"""Filters: equality, a text in the line, and nothing that gives a hidden value away."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import Rejected
from collector.ops.console.filters import EQUALITIES, Filters, parse_filters
from collector.ops.console.rows import EventRow
from tests.collector.ops.console.node import Nothing, UserIds, names


def _parsed(**query: str) -> Filters:
    return parse_filters(query, Nothing().hides)


def _refusal(hides: Nothing | UserIds, **query: str) -> str:
    with pytest.raises(Rejected) as error:
        parse_filters(query, hides.hides)
    return f"{error.value.refusal.code}: {error.value.refusal.message}"


ROWS = [
    EventRow(received_ms=1, kind="stored", property="5/6", ea="view", uid="u-1"),
    EventRow(received_ms=2, kind="stored", property="5/7", ea="view", ec="page"),
    EventRow(received_ms=3, kind="dead", property="5/6", ea="click"),
    EventRow(received_ms=4, kind="damaged", code="corrupt"),
]


@pytest.mark.parametrize(
    ("query", "times"),
    [
        ({}, [1, 2, 3, 4]),
        ({"ea": ""}, [1, 2, 3, 4]),
        ({"kind": "stored"}, [1, 2]),
        ({"property": "5/6"}, [1, 3]),
        ({"kind": "stored", "property": "5/6"}, [1]),
        ({"ea": "vie"}, []),
        ({"uid": "u-1"}, [1]),
        ({"kind": "damaged"}, [4]),
    ],
)
def test_rows_match_by_equality_of_every_field(query: dict[str, str], times: list[int]) -> None:
    assert [row.received_ms for row in _parsed(**query).select(ROWS)] == times


def test_every_parameter_is_a_field_of_a_row() -> None:
    assert set(EQUALITIES) <= set(EventRow.__struct_fields__)


@given(st.text(min_size=1, max_size=40).filter(lambda text: not any("\ud800" <= each <= "\udfff" for each in text)))
def test_a_text_is_found_however_its_sender_has_escaped_it(text: str) -> None:
    filters = _parsed(q=text)
    plain, escaped = (json.dumps({"a": f"<{text}>"}, ensure_ascii=ascii_only) for ascii_only in (False, True))
    assert filters.is_in(escaped.encode()) or "\x7f" in text
    assert filters.is_in(plain.encode())


def test_a_text_is_found_with_capital_digits_in_its_escapes() -> None:
    assert _parsed(q="Ü").is_in(rb'{"a":"\u00DC"}')
    assert not _parsed(q="Ü").is_in(rb'{"a":"\u00DD"}')


def test_a_part_of_json_is_found_as_it_stands() -> None:
    assert _parsed(q='"ea":"view"').is_in(b'{"ea":"view"}')


def test_values_out_of_bounds_are_refused() -> None:
    assert _refusal(Nothing(), ea="x" * 201) == "bad_parameter: ea: expected at most 200 characters, got 201"
    assert _refusal(Nothing(), kind="all").startswith("bad_parameter: kind: expected one of stored, ")
    assert names(_parsed(ea="x" * 200).select([EventRow(received_ms=1, kind="dead", ea="x" * 200)])) == ["x" * 200]


def test_a_filter_on_a_hidden_field_is_refused() -> None:
    assert _refusal(UserIds(), uid="u-1").startswith("redacted: uid is hidden by admin.redact")
    parse_filters({"ea": "view", "q": "u-1", "kind": "stored"}, UserIds().hides)


@pytest.mark.parametrize("hidden", ["portal_id", "prop_id"])
def test_a_property_is_hidden_with_either_of_its_ids(hidden: str) -> None:
    with pytest.raises(Rejected):
        parse_filters({"property": "5/6"}, lambda member: member == hidden)
