"""The stored record: its members, and that nothing a client sends can break its line."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.ingest.envelope import envelope
from collector.ingest.session import Session
from collector.registry import Property

PROPERTY = Property(33167, 2, frozenset(), frozenset(), (), b'"portal_id":33167,"prop_id":2,"source":"pos"')
SESSION = Session(7, 1_576_000_000, 9, 1_575_000_000, 6320, 1_576_222_588, 3, False, False, False)
EVENT = b'{"ea":"view", "n":1.50}'


def _line(
    *,
    ip: str | None = "127.0.0.1",
    user_agent: bytes | None = b"agent/1",
    referer: bytes | None = b"https://shop.example.com/",
    is_s2s: bool = False,
    session: Session = SESSION,
    event: bytes = EVENT,
) -> bytes:
    return envelope(
        log_id=b"0123456789abcdef",
        sequence=42,
        received_ms=1_576_222_602_123,
        prop=PROPERTY,
        ip=ip,
        user_agent=user_agent,
        referer=referer,
        is_s2s=is_s2s,
        session=session,
        event=event,
    )


def _parsed(line: bytes) -> dict[str, Any]:
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    record: dict[str, Any] = json.loads(line)
    return record


def test_the_members_are_in_the_order_and_of_the_types_of_the_contract() -> None:
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
        ("au_id", "7"),
        ("client_id", "9.1575000000"),
        ("session", {"id": "6320", "start": 1_576_222_588, "hits": 3, "new": False}),
        ("warnings", []),
        ("event", {"ea": "view", "n": 1.5}),
    ]


def test_the_event_is_there_to_the_byte() -> None:
    assert _line().endswith(b'"event":' + EVENT + b"}\n")


def test_what_is_not_known_is_null() -> None:
    record = _parsed(_line(ip=None, user_agent=None, referer=None, session=SESSION._replace(sid=-1)))
    assert (record["ip"], record["user_agent"], record["referer"], record["session"]["id"]) == (None,) * 4


def test_a_server_call_and_a_first_hit_are_marked() -> None:
    record = _parsed(_line(is_s2s=True, session=SESSION._replace(is_new=True, hits=1)))
    assert record["s2s"] is True
    assert record["session"]["new"] is True


@pytest.mark.parametrize("sid", [0, 2**63 - 1])
def test_the_session_id_is_a_string(sid: int) -> None:
    assert _parsed(_line(session=SESSION._replace(sid=sid)))["session"]["id"] == str(sid)


@pytest.mark.parametrize(
    "value", [b"", b'"', b'","ip":"0.0.0.0', b"\\", b"a\r\nb", b"\x00\x1b\x7f", b"%s %b %d %", bytes(range(256))]
)
def test_no_header_value_breaks_the_line(value: bytes) -> None:
    record = _parsed(_line(user_agent=value, referer=value))
    assert record["user_agent"] == record["referer"] == value.decode("latin-1")
    assert record["ip"] == "127.0.0.1"


@settings(deadline=None)
@given(user_agent=st.binary(), referer=st.none() | st.binary(), ip=st.text())
def test_arbitrary_header_values_are_kept(user_agent: bytes, referer: bytes | None, ip: str) -> None:
    record = _parsed(_line(user_agent=user_agent, referer=referer, ip=ip))
    assert record["user_agent"].encode("latin-1") == user_agent
    assert record["referer"] == (None if referer is None else referer.decode("latin-1"))
    assert record["ip"] == ip
