"""What the tests of Snowplow and Matomo share: recordings, requests, and what holds for every request."""

import json
from pathlib import Path
from typing import Any, Final

from hypothesis import strategies as st

from collector.errors import BadEvent, TooLarge
from collector.http.request import RequestHead
from collector.ingest.dialects.dialect import Dialect, DialectEvent
from collector.ingest.event import decode_event
from collector.settings import Limits
from tests.collector.ingest.dialects.reading import events_in

_RECORDINGS: Final = Path(__file__).parents[3] / "contract" / "sdk"
_EXPECTED: Final = Path(__file__).parent / "expected"


def head_of(method: str, target: str | bytes, **fields: str) -> RequestHead:
    """The head of a request. An underscore in the name of a header stands for a hyphen."""
    path, _, query = (target.encode() if isinstance(target, str) else target).partition(b"?")
    pairs = [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in fields.items()]
    return RequestHead(method, path, query, pairs, dict(pairs), None, "http")


def recorded(name: str) -> list[tuple[RequestHead, bytes]]:
    """The requests of a recording that carry events."""
    requests = json.loads((_RECORDINGS / f"{name}.json").read_text())["requests"]
    return [
        (head_of(request["method"], request["target"], **dict(request["headers"])), request.get("body", "").encode())
        for request in requests
        if request["method"] != "OPTIONS"
    ]


def expected(name: str) -> list[list[dict[str, Any]]]:
    """The events that each request of a recording must give, written down by hand."""
    found: list[list[dict[str, Any]]] = json.loads((_EXPECTED / f"{name}.json").read_text())
    return found


def told(event: DialectEvent) -> dict[str, Any]:
    """An event as the files of expected events have it."""
    members: dict[str, Any] = {"property_id": event.credentials.property_id, "is_s2s": event.is_s2s}
    members |= {"user_agent": event.user_agent} if event.user_agent else {}
    members |= {"ip": event.ip} if event.ip else {}
    return members | {"event": json.loads(event.event)}


def one(dialect: Dialect, head: RequestHead, body: bytes = b"") -> DialectEvent:
    """The only event of a request."""
    (event,) = dialect.events(head, body)
    return event


def ours(dialect: Dialect, head: RequestHead, body: bytes = b"") -> dict[str, Any]:
    """The only event of a request, which is not refused."""
    event = one(dialect, head, body)
    assert event.refusal is None, event.refusal
    members: dict[str, Any] = json.loads(event.event)
    return members


def is_refused_or_sound(dialect: Dialect, head: RequestHead, body: bytes) -> list[DialectEvent]:
    """Assert what holds for every request; returns its events, none if it is refused as a whole."""
    try:
        events = events_in(dialect, head, body)
    except (BadEvent, TooLarge):
        return []
    for each in events:
        assert (each.refusal is None) == bool(each.event)
        if each.refusal is None:
            _check_line(each.event)
    sent = len(head.query) + len(body)
    assert sum(len(each.event) for each in events) <= sent + 64 * len(events) + 1024
    return events


def _check_line(event: bytes) -> None:
    assert b"\n" not in event
    assert b"\r" not in event
    event.decode()
    try:
        decode_event(event, ("ea", "ec"), Limits(), is_line=True)
    except (BadEvent, TooLarge):
        return
    members = json.loads(event)
    assert all(value not in (None, "", {}, []) for value in members.values())


JSON_VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
"""Any JSON value."""
