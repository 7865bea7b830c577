"""Filters: equality, a text in the line, and nothing that gives a hidden value away."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import Rejected
from collector.ops.console.rows.filters import FilterParameters, Filters, filters_of
from collector.ops.console.rows.rows import MOST_CHARACTERS, EventRow
from tests.collector.ops.console.written_node import NOTHING_HIDDEN, USER_IDS_HIDDEN


def _parsed(**query: Any) -> Filters:
    return filters_of(FilterParameters(**query), NOTHING_HIDDEN.hides)


ROWS = [
    EventRow(received_ms=1, kind="stored", property="5/6", ea="view", uid="u-1"),
    EventRow(received_ms=2, kind="stored", property="5/7", ea="view", ec="page", dialect="segment"),
    EventRow(received_ms=3, kind="dead", property="5/6", ea="click"),
    EventRow(received_ms=4, kind="damaged", code="corrupt"),
]


@pytest.mark.parametrize(
    ("query", "times"),
    [
        ({}, [1, 2, 3, 4]),
        ({"kind": "stored"}, [1, 2]),
        ({"property": "5/6"}, [1, 3]),
        ({"kind": "stored", "property": "5/6"}, [1]),
        ({"ea": "vie"}, []),
        ({"uid": "u-1"}, [1]),
        ({"kind": "damaged"}, [4]),
        ({"dialect": "segment"}, [2]),
        ({"dialect": "event"}, [1, 3]),
    ],
)
def test_rows_match_by_equality_of_every_field(query: dict[str, Any], times: list[int]) -> None:
    assert [row.received_ms for row in _parsed(**query).select(ROWS)] == times


def test_every_parameter_but_the_text_is_a_field_of_a_row() -> None:
    assert set(FilterParameters.__struct_fields__) - {"q"} <= set(EventRow.__struct_fields__)


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


def test_a_long_value_matches_a_row_that_was_cut() -> None:
    row = EventRow(received_ms=1, kind="dead", ea="x" * MOST_CHARACTERS)
    assert _parsed(ea="x" * MOST_CHARACTERS).select([row]) == [row]


def test_a_filter_on_a_hidden_field_is_refused() -> None:
    with pytest.raises(Rejected, match=r"uid is hidden by admin\.redact") as error:
        filters_of(FilterParameters(uid="u-1"), USER_IDS_HIDDEN.hides)
    assert error.value.refusal.code == "redacted"
    filters_of(FilterParameters(ea="view", q="u-1", kind="stored"), USER_IDS_HIDDEN.hides)


@pytest.mark.parametrize("hidden", ["portal_id", "prop_id"])
def test_a_property_is_hidden_with_either_of_its_ids(hidden: str) -> None:
    with pytest.raises(Rejected):
        filters_of(FilterParameters(property="5/6"), lambda member: member == hidden)
