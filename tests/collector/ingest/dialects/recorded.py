"""Requests of real SDKs, recorded in tests/contract/sdk, and the events expected for them, written down by hand."""

import base64
import gzip
import json
from pathlib import Path
from typing import Any

from collector.http.request import RequestHead
from collector.ingest.dialects.dialect import DialectEvent

_RECORDINGS = Path(__file__).parents[3] / "contract/sdk"
_EXPECTED = Path(__file__).parent / "expected"


def head_of(
    path: bytes = b"/event", query: bytes = b"", fields: dict[bytes, bytes] | None = None, method: str = "POST"
) -> RequestHead:
    """The head of a request, as a connection makes it."""
    fields = fields or {}
    return RequestHead(method, path, query, list(fields.items()), fields, None, "http")


def requests_of(name: str) -> list[tuple[RequestHead, bytes]]:
    """Head and inflated body of each recorded request."""
    return [_request(each) for each in json.loads((_RECORDINGS / f"{name}.json").read_text())["requests"]]


def expected_of(name: str) -> list[dict[str, Any]]:
    """What the data file says of the requests that have events: their number in the recording, and their events."""
    expected: list[dict[str, Any]] = json.loads((_EXPECTED / f"{name}.json").read_text())
    return expected


def decoded(events: list[DialectEvent]) -> list[Any]:
    """Our events, none of which is refused."""
    assert [event.refusal for event in events] == [None] * len(events)
    return [json.loads(event.event) for event in events]


def _request(recorded: dict[str, Any]) -> tuple[RequestHead, bytes]:
    path, _, query = recorded["target"].encode().partition(b"?")
    fields = {name.lower().encode(): value.encode() for name, value in recorded["headers"]}
    body = base64.b64decode(recorded.get("body_base64", "")) or recorded.get("body", "").encode()
    head = head_of(path, query, fields, recorded["method"])
    return head, gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
