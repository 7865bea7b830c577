"""Requests of real SDKs, as they were recorded, sent again over a socket: each gets what its SDK takes as success.

`sdk/NAME.json` has the requests, and what the SDK takes as success. The events that must be in the log are written
down by hand in `tests/collector/ingest/dialects/expected/NAME.json`.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.running import WRITE_KEYS, Collector, Response, running

_RECORDINGS = Path(__file__).parent / "sdk"
_EXPECTED = Path(__file__).parents[1] / "collector/ingest/dialects/expected"
_NAMES = sorted(path.stem for path in _RECORDINGS.glob("*.json"))
_SETTINGS = """
[server]
port = {port}
workers = {workers}
[dedup]
bytes = 16777216
[[property]]
portal_id = 1
prop_id = 1
id = "WRITE_KEY_0123456789"
[[property]]
portal_id = 1
prop_id = 2
id = "KEYID"
write_keys = ["env:TRACKLOG_TEST_KEY_A"]
[[property]]
portal_id = 1
prop_id = 3
id = "shop-web"
[[property]]
portal_id = 1
prop_id = 4
id = "7"
[[property]]
portal_id = 1
prop_id = 5
id = "phc_WRITE_KEY_0123456789"
[[property]]
portal_id = 1
prop_id = 6
id = "cloud"
"""
_NOT_OURS = ("/flags", "/array/", "/static/")
"""Paths of PostHog's flags, settings and scripts, without which its SDK sends events all the same."""
_IN_HEADERS_OF_THE_CONNECTION = ("host", "connection", "content-length", "transfer-encoding")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setitem(WRITE_KEYS, "TRACKLOG_TEST_KEY_A", "WRITE_KEY_0123456789")
        with running(tmp_path_factory.mktemp("sdk"), 1, _SETTINGS) as collector:
            yield collector


def _recorded(name: str) -> list[dict[str, Any]]:
    requests: list[dict[str, Any]] = json.loads((_RECORDINGS / f"{name}.json").read_text())["requests"]
    return requests


def _sent(node: Collector, request: dict[str, Any]) -> Response:
    body = base64.b64decode(request.get("body_base64", "")) or request.get("body", "").encode()
    target = request["target"].replace("/events", "/event?id=cloud")
    lines = [f"{request['method']} {target} HTTP/1.1", f"host: 127.0.0.1:{node.port}", "connection: close"]
    lines += [
        f"{name}: {value}" for name, value in request["headers"] if name.lower() not in _IN_HEADERS_OF_THE_CONNECTION
    ]
    lines += [f"content-length: {len(body)}"] if body or request["method"] == "POST" else []
    return node.exchange("\r\n".join([*lines, "", ""]).encode() + body)


def _events(document: Any, contexts: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The events in a file of expected ones, whatever it says beside them."""
    if isinstance(document, list):
        for each in document:
            yield from _events(each, contexts)
    elif isinstance(document, dict) and "ea" in document:
        context = document.get("context")
        yield {**document, "context": contexts[context]} if isinstance(context, str) else document
    elif isinstance(document, dict):
        for each in document.values():
            yield from _events(each, document.get("contexts", contexts))


def _is_success(request: dict[str, Any], response: Response) -> bool:
    if request["target"].startswith(_NOT_OURS):
        return response.status == 404
    if request["method"] == "OPTIONS":
        return response.status == 204 and "access-control-allow-origin" in response.headers
    if request["target"].startswith(("/i?", "/matomo.php?")) and response.status in (200, 204):
        return True
    return response.status == 200 and isinstance(response.json(), dict)


@pytest.mark.parametrize("name", _NAMES)
def test_every_recorded_request_is_a_success_to_its_sdk_and_its_events_are_in_the_log(
    node: Collector, name: str
) -> None:
    before = len(node.stored())
    for request in _recorded(name):
        response = _sent(node, request)
        assert _is_success(request, response), (request["method"], request["target"], response)
    document = json.loads((_EXPECTED / f"{name}.json").read_text())
    records = node.stored()[before:]
    assert [record["event"] for record in records] == list(_events(document, {}))
    assert node.dead() == []


@pytest.mark.parametrize("name", [name for name in _NAMES if not name.startswith("matomo")])
def test_a_recorded_request_that_is_sent_again_stores_nothing_new(node: Collector, name: str) -> None:
    for request in _recorded(name):
        _sent(node, request)
    before = len(node.stored())
    for request in _recorded(name):
        response = _sent(node, request)
        assert _is_success(request, response)
        if "x-event-ack" in response.headers:
            assert response.headers["x-event-duplicate"] == "true"
    assert len(node.stored()) == before
