"""Requests as real callers send them, from requests.json, against a running collector with two workers."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.running import Collector, Response

_REQUESTS = json.loads((Path(__file__).parent / "requests.json").read_text())["requests"]


@pytest.mark.parametrize("request_", [pytest.param(each, id=each["name"]) for each in _REQUESTS])
def test_request(collector: Collector, request_: dict[str, Any]) -> None:
    stored, dead = collector.stored(), collector.dead()
    headers = {name.replace("-", "_"): value for name, value in request_["headers"].items()}
    response = collector.send(request_["method"], request_["target"], _body(request_), **headers)
    expected = dict(request_["expect"])
    new_stored, new_dead = len(collector.stored()) - len(stored), len(collector.dead()) - len(dead)
    assert new_stored == expected.pop("stored", 0 if response.status != 200 else new_stored)
    assert new_dead == expected.pop("dead", new_dead)
    if members := expected.pop("stored_event", None):
        event = max(collector.stored(), key=lambda record: record["received_at"])["event"]
        assert {name: event[name] for name in members} == members
    for key, value in expected.items():
        _check(response, key, value)


def _body(request: dict[str, Any]) -> bytes:
    text: str = request.get("body") or ""
    latin = text.removeprefix("@@latin1:")
    return text.encode() if latin == text else latin.encode("latin-1")


def _check(response: Response, key: str, value: Any) -> None:
    if key == "status":
        assert response.status in (value if isinstance(value, list) else [value])
    elif key == "type":
        assert response.headers["content-type"].partition(";")[0] == value
    elif key == "json":
        assert {name: response.json()[name] for name in value} == value
    elif key == "json_is":
        assert response.json() == value
    elif key == "body":
        assert re.search(value, response.body.decode())
    elif key == "error_fields":
        assert [error["field"] for error in response.json()["errors"]] == value
    elif key == "length":
        assert len(response.body) == value
    elif key == "location":
        assert response.headers["location"] == value
    elif key == "headers":
        assert {name: response.headers.get(name) for name in value} == value
    elif key == "rejected":
        assert [each["index"] for each in response.json()["rejected"]] == value
    elif key == "no_header":
        assert value not in response.headers
    else:
        pytest.fail(f"requests.json expects {key!r}, and nothing here checks it")
