"""Lines to rows: a row for whatever a line holds, and nothing in it that the page could not take."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.ingest.event import decode_event
from collector.ingest.record import members_of, record_line
from collector.ops.console.rows.decoding import _one, row_of_damage, row_of_letter, row_of_record
from collector.ops.console.rows.rows import MOST_CHARACTERS, BlockPlace, EventRow
from collector.settings import Limits
from tests.collector.ingest.test_record import SESSION, VISIT
from tests.collector.ops.console.written_node import event, letter
from wal.damage import Damage, Kind
from wal.format import Position

BLOCK = BlockPlace("log/seg", "0123456789abcdef", 1_700_000_000_000)


def _stored(line: bytes) -> EventRow:
    row = row_of_record(line, BLOCK, 7, 20)
    assert row
    return row


def _dead(line: bytes) -> EventRow:
    row = row_of_letter(line, BLOCK, 7, 20)
    assert row
    return row


def test_a_record_that_intake_has_made_is_shown() -> None:
    sent = b'{"ea":"view","ec":"product","uid":42,"items":[{"ea":"no"}]}'
    decoded, line = decode_event(sent, ("ea",), Limits())
    context = msgspec.structs.replace(VISIT, warnings=["a", "b"], dialect="segment")
    record = record_line(b"0123456789abcdef", 7, context, members_of(context), SESSION, decoded, line)[:-1]
    row = _stored(record)
    row.number = 3
    assert row.shown() == (
        *(3, "0123456789abcdef-7", 1_576_222_602_123, "stored", "33167/2", "pos", "segment"),
        *("view", "product", "42", len(record), 2, None),
    )


def test_a_long_text_is_cut_before_it_is_remembered() -> None:
    before = _one.cache_info().currsize
    rows = [_stored(event(ea="a" * (MOST_CHARACTERS + number))) for number in range(1, 20)]
    assert {row.ea for row in rows} == {"a" * MOST_CHARACTERS}
    assert _one.cache_info().currsize <= before + 5


def test_a_dead_letter_shows_the_event_that_was_refused() -> None:
    row = _dead(letter({"ea": 5, "ec": "product", "uid": None, "extra": {"ea": "no"}}, dialect="matomo"))
    assert (row.kind, row.property, row.dialect, row.code) == ("dead", "5/6", "matomo", "invalid_event")
    assert (row.ea, row.ec, row.uid, row.received_ms) == ("5", "product", None, 1_700_000_000_456)


def test_a_dead_letter_of_a_sink_shows_the_event_of_its_record() -> None:
    row = _dead(letter(json.loads(event(ea="click")), form="record", sink="kafka", code="refused_by_sink"))
    assert (row.ea, row.ec, row.uid, row.code) == ("click", "product", "u-1", "refused_by_sink")


def test_a_dead_letter_of_a_batch_shows_its_first_event() -> None:
    assert _dead(letter([{"ea": "a"}, {"ea": "b"}])).ea == "a"
    assert _dead(letter([])).ea is None


def test_a_letter_in_parts_is_one_row() -> None:
    assert _dead(letter("AAAA", encoding="base64", part=1, of=2)).ea is None
    assert row_of_letter(letter("AAAA", encoding="base64", part=2, of=2), BLOCK, 8, 0) is None


@pytest.mark.parametrize("encoding", ["utf-8", "base64", "zstd+base64"])
def test_text_in_another_encoding_is_not_taken_for_an_event(encoding: str) -> None:
    assert _dead(letter('{"ea":"no"}', encoding=encoding)).ea is None


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"ea": "x" * 60_000}, "x" * 200),
        ({"ea": {"deep": ["x" * 999]}}, None),
        ({"ea": 10**300}, "1" + "0" * 199),
        ({"ea": "<script>alert(1)</script>\u202e\u200b\0"}, "<script>alert(1)</script>\u202e\u200b\0"),
        ({"ea": ""}, ""),
        ({}, None),
    ],
)
def test_hostile_values_are_cut_and_stay_text(fields: dict[str, Any], shown: str | None) -> None:
    ea = _dead(letter(fields)).ea
    assert ea == shown if shown is not None or not fields else len(ea or "") == 200


@pytest.mark.parametrize(
    "raw",
    [
        b'{"ea":"\\ud800"}',
        b'{"ea":"\\ud800","uid":"u-1"}',
        b'{"ea":' + b"9" * 5000 + b"}",
        b'{"ea":1e999}',
        b"[" * 9000,
    ],
)
def test_a_row_can_be_sent_whatever_was_refused(raw: bytes) -> None:
    line = letter({}).replace(b'"raw": {}', b'"raw": ' + raw)
    assert msgspec.json.encode(_dead(line).shown())


@given(st.binary(max_size=300))
def test_any_bytes_are_a_row(line: bytes) -> None:
    for row in (_stored(line), _dead(line)):
        assert msgspec.json.encode(row.shown())
        assert row.event_id() == "0123456789abcdef-7"


def test_a_member_that_is_hidden_leaves_the_others() -> None:
    record = json.loads(event()) | {"portal_id": "▒▒▒▒", "warnings": "▒▒▒▒"}
    row = _stored(json.dumps(record).encode())
    assert (row.property, row.source, row.ea, row.received_ms) == ("▒▒▒▒/6", "web", "view", 1_700_000_000_123)
    row = _stored(json.dumps(record | {"event": "▒▒▒▒"}).encode())
    assert (row.source, row.ea) == ("web", None)


def test_a_line_that_is_hidden_whole_has_the_time_of_its_block() -> None:
    row = _stored('"▒▒▒▒"'.encode())
    assert (row.received_ms, row.property, row.ea) == (1_700_000_000_000, None, None)


def test_damage_tells_its_kind_its_bytes_and_how_many_events_are_lost() -> None:
    damage = Damage(Kind.CORRUPT, Position(1, 148, 10), Position(1, 900, 15), "a payload with another CRC")
    shown = row_of_damage(damage, b"0123456789abcdef", 5).shown()
    assert shown == (0, "0123456789abcdef-10", 5, "damaged", *[None] * 6, 752, 5, "corrupt")
    missing = Damage(Kind.MISSING, Position(1, 0, 10), Position(3, 148, 15), "no such file")
    assert row_of_damage(missing, b"0123456789abcdef", 5).bytes is None
