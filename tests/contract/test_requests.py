"""Requests of real clients, and more of our own, to a running collector with two workers."""

import json
import re
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from tests.running import Collector, Response

_REQUESTS = [
    request
    for name in ("requests.json", "more_requests.json")
    for request in json.loads((Path(__file__).parent / name).read_text())["requests"]
]


@pytest.mark.parametrize("request_", [pytest.param(each, id=each["name"]) for each in _REQUESTS])
def test_request(collector: Collector, request_: dict[str, Any]) -> None:
    before, dead = {record["id"] for record in collector.stored()}, len(collector.dead())
    headers = {name.replace("-", "_"): value for name, value in request_["headers"].items()}
    response = collector.send(request_["method"], request_["target"], _body(request_), **headers)
    expected = dict(request_["expect"])
    stored = [record for record in collector.stored() if record["id"] not in before]
    new_dead = len(collector.dead()) - dead
    assert len(stored) == expected.pop("stored", 0 if response.status != 200 else len(stored)), response
    assert new_dead == expected.pop("dead", new_dead), response
    if members := expected.pop("stored_event", None):
        assert {name: stored[-1]["event"][name] for name in members} == members
    if members := expected.pop("stored_record", None):
        assert {name: stored[-1][name] for name in members} == members
    for key, value in expected.items():
        _check(response, key, value)


def _body(request: dict[str, Any]) -> bytes:
    text: str = request.get("body") or ""
    latin = text.removeprefix("@@latin1:")
    plain = text.encode() if latin == text else latin.encode("latin-1")
    return b64decode(request["body_base64"]) if "body_base64" in request else plain


def _check(response: Response, key: str, value: Any) -> None:  # noqa: PLR0912 - one branch for each word of the files
    if key == "status":
        assert response.status in (value if isinstance(value, list) else [value]), response
    elif key == "type":
        assert response.headers["content-type"].partition(";")[0] == value
    elif key == "json":
        assert {name: response.json()[name] for name in value} == value
    elif key == "json_is":
        assert response.json() == value
    elif key == "body":
        assert re.search(value, response.body.decode()), response
    elif key == "error_fields":
        assert [error["field"] for error in response.json()["errors"]] == value
    elif key == "length":
        assert len(response.body) == value
    elif key == "location":
        assert response.headers["location"] == value
    elif key == "headers":
        assert {name: response.headers.get(name) for name in value} == value
    elif key == "set_cookie":
        assert re.search(value, response.headers["set-cookie"]), response
    elif key == "rejected":
        assert [each["index"] for each in response.json()["rejected"]] == value
    elif key == "rejected_indexes":
        assert sorted({each["index"] for each in response.json()["rejected"]}) == value
    elif key == "no_header":
        assert value not in response.headers
    else:
        pytest.fail(f"the file expects {key!r}, and nothing here checks it")
