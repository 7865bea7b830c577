"""Requests to Segment's dialect, without a socket, and the events of ours that they make."""

import json
from typing import Any

from collector.errors import Rejected
from collector.http.request import RequestHead
from collector.ingest.dialects.dialect import DialectEvent
from collector.ingest.dialects.segment.dialect import SegmentDialect
from collector.ingest.event import decode_event
from collector.settings import Limits
from tests.collector.ingest.dialects.reading import events_in

DIALECT = SegmentDialect()
REQUIRED = ("ea", "ec")
BATCH = "/v1/batch"
PAID_FOR_EVENT = 64
PAID_FOR_REQUEST = 1024


def head_of(target: str, headers: dict[str, str] | None = None) -> RequestHead:
    """The head of a POST."""
    path, _, query = target.partition("?")
    lines = [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
    return RequestHead("POST", path.encode(), query.encode(), lines, dict(lines), None, "http")


def sent(target: str, body: bytes | str | dict[str, Any]) -> list[DialectEvent]:
    """The events of a request. Checks that they are no longer than the request has paid for."""
    if isinstance(body, dict):
        body = json.dumps(body, separators=(",", ":"))
    raw = body if isinstance(body, bytes) else body.encode()
    events = events_in(DIALECT, head_of(target), raw)
    assert sum(len(each.event) for each in events) <= len(raw) + PAID_FOR_EVENT * len(events) + PAID_FOR_REQUEST
    for each in events:
        assert bool(each.event) == (each.refusal is None)
        assert b"\n" not in each.event
        assert b"\r" not in each.event
    return events


def batch_of(*calls: Any, **members: Any) -> list[DialectEvent]:
    """The events of a batch of calls."""
    return sent(BATCH, {"batch": calls, **members})


def event_of(call: dict[str, Any], target: str = BATCH) -> dict[str, Any]:
    """The event of a single call, which our own rules take."""
    [found] = sent(target, call)
    assert found.refusal is None
    decode_event(found.event, REQUIRED, Limits())
    event: dict[str, Any] = json.loads(found.event)
    return event


def code_of(event: DialectEvent) -> str | None:
    """The code of the refusal of an event, by the dialect or by our own rules; None if it is stored."""
    if event.refusal is not None:
        return event.refusal.code
    try:
        decode_event(event.event, REQUIRED, Limits())
    except Rejected as error:
        return error.refusal.code
    return None


def fields_of(event: DialectEvent) -> list[str]:
    """The wrong fields of an event, as the dialect or our own rules name them."""
    if event.refusal is not None:
        return [fault.field for fault in event.refusal.faults]
    try:
        decode_event(event.event, REQUIRED, Limits())
    except Rejected as error:
        return [fault.field for fault in error.refusal.faults]
    return []
