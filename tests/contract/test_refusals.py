"""Every refusal of the contract: its status, body and headers, and the records or dead letters that it leaves."""

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.running import PATIENCE_SECONDS, Collector, Response, read_response, running

EVENT: dict[str, Any] = {"ea": "view", "ec": "product", "sid": 6320, "aid": "a-1", "uid": "u-1"}
QUERY = "ea=open&ec=email&sid=1&aid=a&uid=u"
FACES = ("javascript", "json", "pixel")
TARGET = "/event?portal_id=33167&prop_id={}&resp_type={}"
CLICK = "&ea=click&ec=ad&sid=1&aid=a&uid=u&redirect_url=https%3A%2F%2Fshop.example.com%2F"
SETTINGS = """
[server]
port = {port}
workers = {workers}
[log]
warn_free_bytes = {min_free}
min_free_bytes = {min_free}
[[property]]
portal_id = 33167
prop_id = 1
redirect_hosts = ["shop.example.com"]
"""


def _post(collector: Collector, prop: int, face: str, body: bytes | None = None, **headers: str) -> Response:
    headers.setdefault("content_type", "application/json")
    return collector.send("POST", TARGET.format(prop, face), body or json.dumps(EVENT).encode(), **headers)


def _check_refusal(response: Response, status: int, face: str) -> None:
    assert response.status == status
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert not {"x-event-id", "x-event-ack", "set-cookie"} & set(response.headers)
    if face == "pixel":
        assert (response.headers["content-type"], len(response.body)) == ("image/gif", 43)
    else:
        assert response.headers["content-type"] == "application/json"
        assert isinstance(response.json()["message"], str)


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize(
    ("prop", "body", "headers", "status", "dead"),
    [
        pytest.param(564990801, b'{"ea":', {}, 400, 1, id="malformed JSON"),
        pytest.param(564990801, b'{"ea":1}', {}, 400, 1, id="wrong fields"),
        pytest.param(564990801, None, {"origin": "https://evil.example.net"}, 403, 0, id="another origin"),
        pytest.param(3, None, {}, 403, 0, id="no write key"),
        pytest.param(3, None, {"authorization": "Basic a2V5"}, 403, 0, id="no bearer"),
        pytest.param(99, None, {}, 404, 0, id="unknown property"),
        pytest.param(564990801, b"[" + b"{}," * 1000 + b"{}]", {}, 413, 0, id="too many events"),
        pytest.param(564990801, b'{"x":"%b"}' % (b"y" * 70_000), {}, 413, 0, id="too large an event"),
        pytest.param(564990801, None, {"content_type": "image/png"}, 415, 0, id="another content type"),
        pytest.param(564990801, None, {"content_encoding": "br"}, 415, 0, id="another encoding"),
    ],
)
def test_a_refusal_has_a_reason_in_every_response_type_and_stores_nothing(
    collector: Collector, face: str, prop: int, body: bytes | None, headers: dict[str, str], status: int, dead: int
) -> None:
    stored, before = len(collector.stored()), len(collector.dead())
    _check_refusal(_post(collector, prop, face, body, **headers), status, face)
    assert (len(collector.stored()), len(collector.dead())) == (stored, before + dead)


def test_a_404_has_exactly_this_body(collector: Collector) -> None:
    for target in ("/nope", "/event/", TARGET.format(99, "json"), TARGET.format(99, "javascript")):
        response = collector.send("GET", target)
        assert (response.status, response.body) == (404, b'{"message":"404 not found"}')


def test_all_faults_of_a_query_are_named_at_once(collector: Collector) -> None:
    response = collector.send("GET", "/event?portal_id=x&prop_id=-1&resp_type=xml&is_s2s=yes")
    assert response.status == 400
    assert [error["field"] for error in response.json()["errors"]] == ["portal_id", "prop_id", "resp_type", "is_s2s"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE"])
def test_an_unserved_method_gets_405_with_the_allowed_ones(collector: Collector, method: str) -> None:
    response = collector.send(method, TARGET.format(564990801, "json"))
    _check_refusal(response, 405, "json")
    assert response.headers["allow"] == "GET, HEAD, OPTIONS, POST"


def test_the_openapi_path_has_its_own_methods(collector: Collector) -> None:
    response = collector.send("POST", "/openapi.json")
    assert (response.status, response.headers["allow"]) == (405, "GET, HEAD")


def test_a_url_over_its_limit_is_refused(collector: Collector) -> None:
    _check_refusal(collector.send("GET", TARGET.format(564990801, "json") + "&x=" + "y" * 20_480), 414, "json")


def test_a_body_over_its_limit_is_refused_before_it_is_sent(collector: Collector) -> None:
    head = f"POST {TARGET.format(564990801, 'json')} HTTP/1.1\r\nhost: x\r\ncontent-length: 6000000\r\n\r\n"
    response = collector.exchange(head.encode())
    _check_refusal(response, 413, "json")
    assert response.headers["connection"] == "close"


def test_a_chunked_body_over_its_limit_is_refused(collector: Collector) -> None:
    head = f"POST {TARGET.format(564990801, 'json')} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    chunk = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
    _check_refusal(collector.exchange(head.encode() + chunk * 5 + b"1\r\n \r\n"), 413, "json")


@pytest.mark.parametrize("face", FACES)
def test_a_body_that_does_not_arrive_is_refused_and_its_connection_closes(collector: Collector, face: str) -> None:
    head = f"POST {TARGET.format(564990801, face)} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{{"
    with socket.create_connection(("127.0.0.1", collector.port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(head.encode())
        with connection.makefile("rb") as stream:
            _check_refusal(read_response(stream.readline, stream.read), 408, face)
            assert stream.read() == b""


def test_a_property_over_its_rate_gets_429_with_retry_after(collector: Collector) -> None:
    responses = [_post(collector, 5, "json") for _ in range(12)]
    refused = [response for response in responses if response.status != 200]
    assert 10 <= len(refused) < 12  # both workers let one pass
    for response in refused:
        _check_refusal(response, 429, "json")
        assert 1 <= int(response.headers["retry-after"]) <= 20
    click = collector.send("GET", TARGET.format(5, "redirect") + CLICK)
    assert (click.status, click.headers["location"]) == (302, "https://shop.example.com/")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A collector with less free space than `log.min_free_bytes`."""
    with running(tmp_path_factory.mktemp("full"), 1, SETTINGS.replace("{min_free}", str(1 << 60))) as collector:
        yield collector


@pytest.mark.parametrize("face", FACES)
def test_below_the_watermark_all_requests_are_shed(full: Collector, face: str) -> None:
    for response in (_post(full, 1, face), full.send("GET", f"{TARGET.format(1, face)}&{QUERY}")):
        _check_refusal(response, 503, face)
        assert response.headers["retry-after"] == "1"
    assert full.stored() == []


def test_below_the_watermark_a_click_is_redirected_and_not_stored(full: Collector) -> None:
    response = full.send("GET", TARGET.format(1, "redirect") + CLICK)
    assert (response.status, response.headers["location"]) == (302, "https://shop.example.com/")
    assert "x-event-id" not in response.headers
    assert full.stored() == []


def test_close_to_the_watermark_only_requests_that_nobody_retries_are_accepted(tmp_path: Path) -> None:
    min_free = int(shutil.disk_usage(tmp_path).free * 0.85)
    with running(tmp_path, 1, SETTINGS.replace("{min_free}", str(min_free))) as collector:
        pixel = f"{TARGET.format(1, 'pixel')}&{QUERY}"
        assert collector.send("GET", pixel).status == 200  # the first commit measures the free space
        _check_refusal(_post(collector, 1, "json"), 503, "json")
        _check_refusal(_post(collector, 1, "json", json.dumps([EVENT]).encode()), 503, "json")
        _check_refusal(collector.send("GET", f"{pixel}&is_s2s=true"), 503, "pixel")
        assert _post(collector, 1, "javascript", content_type="text/plain").status == 200  # a beacon
        assert collector.send("GET", TARGET.format(1, "redirect") + CLICK).headers["x-event-id"]
        assert len(collector.stored()) == 3
