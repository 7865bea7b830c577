"""The stored record: its members, and that no client can break its line."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from collector.ingest.event import Event
from collector.ingest.record import RequestContext, members_of, record_line
from collector.ingest.session import Session
from tests.collector.properties import prepared

VISIT = RequestContext(
    prop=prepared(source="pos"),
    received_ms=1_576_222_602_123,
    ip="127.0.0.1",
    user_agent="agent/1",
    referer="https://shop.example.com/",
    is_s2s=False,
    warnings=[],
)
SESSION = Session(7, 1_576_000_000, 9, 1_575_000_000, 6320, 1_576_222_588, 3, 1_576_222_602, False, False, False)
EVENT = b'{"ea":"view", "n":1.50}'


def _line(session: Session = SESSION, **known: Any) -> bytes:
    """The record of a visit with other facts in its context."""
    context = replace(VISIT, **known)
    return record_line(b"0123456789abcdef", 42, context, members_of(context), session, Event(), EVENT)


def _parsed(line: bytes) -> dict[str, Any]:
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    record: dict[str, Any] = json.loads(line)
    return record


def test_the_members_have_the_order_and_the_types_of_the_contract() -> None:
    assert list(_parsed(_line()).items()) == [
        ("id", "0123456789abcdef-42"),
        ("received_at", 1_576_222_602_123),
        ("portal_id", 33167),
        ("prop_id", 2),
        ("source", "pos"),
        ("ip", "127.0.0.1"),
        ("user_agent", "agent/1"),
        ("referer", "https://shop.example.com/"),
        ("s2s", False),
        ("occurred_at", 1_576_222_602_123),
        ("au_id", "7"),
        ("client_id", "9.1575000000"),
        ("session", {"id": "6320", "start": 1_576_222_588, "hits": 3, "new": False}),
        ("warnings", []),
        ("event", {"ea": "view", "n": 1.5}),
    ]


def test_the_event_is_stored_byte_for_byte() -> None:
    assert _line().endswith(b'"event":' + EVENT + b"}\n")


def test_unknown_values_are_null() -> None:
    record = _parsed(_line(replace(SESSION, sid=-1), ip=None, user_agent=None, referer=None))
    assert (record["ip"], record["user_agent"], record["referer"], record["session"]["id"]) == (None,) * 4


def test_a_server_call_and_a_first_hit_are_marked() -> None:
    record = _parsed(_line(replace(SESSION, is_new=True, hits=1), is_s2s=True))
    assert record["s2s"] is True
    assert record["session"]["new"] is True


@pytest.mark.parametrize("sid", [0, 2**63 - 1])
def test_the_session_id_is_a_string(sid: int) -> None:
    assert _parsed(_line(replace(SESSION, sid=sid)))["session"]["id"] == str(sid)


@pytest.mark.parametrize(
    "value",
    ["", '"', '","ip":"0.0.0.0', "\\", "a\r\nb", "\x00\x1b\x7f", "%s %b %d %", bytes(range(256)).decode("latin-1")],
)
def test_no_text_breaks_the_line(value: str) -> None:
    record = _parsed(_line(user_agent=value, referer=value, warnings=[value]))
    assert record["user_agent"] == record["referer"] == value
    assert record["warnings"] == [value]
    assert record["ip"] == "127.0.0.1"


@settings(deadline=None)
@given(user_agent=st.text(), referer=st.none() | st.text(), ip=st.text(), warnings=st.lists(st.text(), max_size=3))
def test_arbitrary_texts_are_kept(user_agent: str, referer: str | None, ip: str, warnings: list[str]) -> None:
    record = _parsed(_line(user_agent=user_agent, referer=referer, ip=ip, warnings=warnings))
    assert (record["user_agent"], record["referer"], record["ip"]) == (user_agent, referer, ip)
    assert record["warnings"] == warnings


def test_the_id_of_the_client_is_in_the_record() -> None:
    line = record_line(b"0123456789abcdef", 42, VISIT, members_of(VISIT), SESSION, Event(event_id="o-1"), EVENT)
    assert _parsed(line)["event_id"] == "o-1"


def test_the_time_of_the_event_and_what_is_wrong_with_it_are_in_the_record() -> None:
    times = Event(et=Raw(b'"2019-12-13 07:36:00"'), sent_at=Raw(b"[]"))
    record = _parsed(record_line(b"0123456789abcdef", 42, VISIT, members_of(VISIT), SESSION, times, EVENT))
    assert (record["occurred_at"], record["warnings"]) == (1_576_222_560_000, ["sent_at is not a time"])
