"""Requests of the SDKs of Segment, RudderStack and Jitsu: their events, written down by hand, and the rest of HTTP."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from collector.errors import Fault, FieldCode, Refusal
from collector.ingest.dialects.dialect import NO_CREDENTIALS, Credentials, DialectEvent, Result
from tests.collector.ingest.dialects.segment_requests import DIALECT, batch_of, code_of, event_of, head_of, sent

_RECORDINGS = Path(__file__).parents[3] / "contract" / "sdk"
_EXPECTED = Path(__file__).parent / "expected"
_NAMES = (
    "jitsu-browser",
    "rudder-browser",
    "rudder-browser-beacon",
    "rudder-node",
    "segment-browser",
    "segment-java",
    "segment-node",
)
_TRACK = {"type": "track", "event": "E"}


def _recorded(name: str) -> list[dict[str, Any]]:
    requests: list[dict[str, Any]] = json.loads((_RECORDINGS / f"{name}.json").read_text())["requests"]
    return [request for request in requests if request["method"] == "POST"]


def _body(request: dict[str, Any]) -> bytes:
    text: str = request.get("body_decoded") or request["body"]
    return text.encode()


def _seen(found: DialectEvent) -> dict[str, Any]:
    return {
        "event": json.loads(found.event),
        "is_s2s": found.is_s2s,
        "ip": found.ip,
        "user_agent": found.user_agent,
    }


def _written(entry: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    event = entry["event"]
    if isinstance(event["context"], str):
        event["context"] = document["contexts"][event["context"]]
    defaults = {"is_s2s": False, "ip": None, "user_agent": document.get("user_agent")}
    return defaults | entry


@pytest.mark.parametrize("name", _NAMES)
def test_every_request_of_a_recorded_sdk_makes_the_events_that_are_written_down(name: str) -> None:
    document = json.loads((_EXPECTED / f"{name}.json").read_text())
    found = [[_seen(each) for each in sent(request["target"], _body(request))] for request in _recorded(name)]
    assert found == [[_written(entry, document) for entry in request] for request in document["requests"]]


@pytest.mark.parametrize("name", _NAMES)
def test_every_event_of_a_recorded_sdk_keeps_our_own_rules(name: str) -> None:
    for request in _recorded(name):
        events = sent(request["target"], _body(request))
        assert [code_of(each) for each in events] == [None] * len(events)


@pytest.mark.parametrize("name", _NAMES)
def test_every_request_of_a_recorded_sdk_names_its_property(name: str) -> None:
    for request in _recorded(name):
        found = DIALECT.credentials(head_of(request["target"], dict(request["headers"])))
        if found == NO_CREDENTIALS:
            found = sent(request["target"], _body(request))[0].credentials
        assert found in (Credentials("WRITE_KEY_0123456789", ""), Credentials("KEYID", "WRITE_KEY_0123456789"))


@pytest.mark.parametrize("name", _NAMES)
def test_every_path_of_a_recorded_sdk_is_served(name: str) -> None:
    for request in _recorded(name):
        path = request["target"].partition("?")[0].rstrip("/")
        assert path in DIALECT.paths or (DIALECT.pattern and DIALECT.pattern.fullmatch(path.encode()))


@pytest.mark.parametrize(
    ("paths", "ec"),
    [
        (("/v1/track", "/v1/t", "/v1/t/", "/api/s/track", "/api/s/s2s/track"), "track"),
        (("/v1/identify", "/v1/i", "/api/s/identify"), "user"),
        (("/v1/page", "/v1/p", "/api/s/page"), "page"),
        (("/v1/screen", "/v1/s", "/api/s/screen"), "screen"),
        (("/v1/group", "/v1/g", "/api/s/group"), "group"),
        (("/v1/alias", "/v1/a", "/api/s/alias"), "user"),
    ],
)
def test_a_path_implies_the_type_of_a_call_that_names_none(paths: tuple[str, ...], ec: str) -> None:
    assert [event_of({"event": "E"}, path)["ec"] for path in paths] == [ec] * len(paths)


def test_the_type_of_a_call_counts_more_than_that_of_its_path() -> None:
    assert event_of({"type": "page"}, "/v1/t")["ec"] == "page"
    assert event_of({"type": "", "event": "E"}, "/v1/t")["ec"] == "track"


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/import", "/v1/b", "/beacon/v1/batch", "/api/s/event"])
def test_a_path_of_batches_takes_a_single_call_with_its_type_too(path: str) -> None:
    assert event_of(_TRACK, path) == {"ea": "E", "ec": "track"}
    [refused] = sent(path, {"event": "E"})
    assert refused.refusal is not None
    assert refused.refusal.faults == (
        Fault("type", FieldCode.NOT_ALLOWED, "expected one of track, identify, page, screen, group, alias"),
    )


def test_jitsu_takes_batches_under_its_own_path() -> None:
    [found] = sent("/api/s/s2s/batch", {"batch": [_TRACK]})
    assert json.loads(found.event) == {"ea": "E", "ec": "track"}
    assert found.is_s2s


@pytest.mark.parametrize(
    ("target", "headers", "credentials"),
    [
        ("/v1/t", {"Authorization": "Basic {ID:}"}, Credentials("ID", "")),
        ("/v1/t", {"Authorization": "basic {ID}"}, Credentials("ID", "")),
        ("/v1/t", {"Authorization": "Basic {ID:SECRET:}"}, Credentials("ID", "SECRET")),
        ("/v1/t", {"Authorization": "Basic {ID:SECRET}"}, Credentials("ID", "SECRET")),
        ("/v1/t", {"Authorization": "Basic {ID:}", "x-write-key": "OTHER"}, Credentials("ID", "")),
        ("/beacon/v1/batch?writeKey=ID", {}, Credentials("ID", "")),
        ("/beacon/v1/batch?writeKey=ID%3ASECRET", {"x-write-key": "OTHER"}, Credentials("ID", "SECRET")),
        ("/api/s/track", {"X-Write-Key": "ID:SECRET"}, Credentials("ID", "SECRET")),
        ("/api/s/track", {"X-Write-Key": "ID"}, Credentials("ID", "")),
        ("/v1/t", {"Authorization": "Bearer ID:SECRET"}, Credentials("ID", "SECRET")),
        ("/v1/t", {"Authorization": "Bearer " + "e" * 65 + ":SECRET"}, NO_CREDENTIALS),
        ("/v1/t", {"Authorization": "Basic {:}"}, NO_CREDENTIALS),
        ("/v1/t", {"Authorization": "Basic ****"}, NO_CREDENTIALS),
        ("/v1/t", {"Authorization": "Basic /w=="}, NO_CREDENTIALS),
        ("/v1/t", {"Authorization": "Digest x"}, NO_CREDENTIALS),
        ("/v1/t", {}, NO_CREDENTIALS),
    ],
)
def test_the_head_names_the_property_in_the_forms_of_all_sdks(
    target: str, headers: dict[str, str], credentials: Credentials
) -> None:
    found = {name: _with_base64(value) for name, value in headers.items()}
    assert DIALECT.credentials(head_of(target, found)) == credentials


def _with_base64(header: str) -> str:
    before, brace, text = header.partition("{")
    return before + base64.b64encode(text[:-1].encode()).decode() if brace else before


def test_the_body_names_the_property_in_the_batch_or_in_the_call() -> None:
    found = batch_of(_TRACK, {**_TRACK, "writeKey": "OTHER"}, {**_TRACK, "writeKey": 5}, writeKey="ID:SECRET")
    assert [each.credentials for each in found] == [
        Credentials("ID", "SECRET"),
        Credentials("OTHER", ""),
        NO_CREDENTIALS,
    ]
    assert sent("/v1/t", {**_TRACK, "writeKey": "ID"})[0].credentials == Credentials("ID", "")
    assert batch_of(_TRACK)[0].credentials == NO_CREDENTIALS


def test_jitsu_alone_never_sends_again() -> None:
    assert DIALECT.retries(head_of("/v1/batch"))
    assert DIALECT.retries(head_of("/beacon/v1/batch"))
    assert not DIALECT.retries(head_of("/api/s/track"))
    assert not DIALECT.retries(head_of("/api/s/s2s/track"))


def test_success_is_200_with_a_json_object() -> None:
    response = DIALECT.response(head_of("/v1/batch"), Result(0, 1, 2))
    assert (response.status, response.body) == (200, b'{"success":true}')
    assert b"content-type: application/json\r\n" in response.headers


@pytest.mark.parametrize("code", ["not_found", "invalid_event", "forbidden", "unavailable"])
def test_a_refusal_is_json_with_code_and_message(code: str) -> None:
    fault = Fault("type", FieldCode.MISSING, "missing")
    response = DIALECT.refusal(head_of("/v1/batch"), Refusal(code, "why", (fault,), retry_seconds=3))
    assert json.loads(response.body) == {
        "code": code,
        "message": "why",
        "errors": [{"field": "type", "code": "missing", "message": "missing"}],
    }
    assert b"retry-after: 3\r\n" in response.headers
