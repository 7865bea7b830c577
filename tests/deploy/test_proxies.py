"""The proxies of `deploy/` pass on all that clients send over TLS, tell the true address, and send no event twice."""

import json
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.proxies import HAPROXY, NGINX, Proxy, dying_nodes, faults, program, proxy
from tests.running import Response, eventually

_QUERY = "portal_id=33167&prop_id=564990801"
_KINDS = [
    pytest.param(
        kind, marks=pytest.mark.skipif(not program(kind), reason=f"{kind} is not installed; .ci/run installs it")
    )
    for kind in (NGINX, HAPROXY)
]
_CLIENTS = 6
_EVENTS = 60
"""For each client, on each side of the kill."""


@pytest.fixture(scope="module", params=_KINDS)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy before two collectors."""
    with proxy(request.param, tmp_path_factory.mktemp(request.param)) as served:
        yield served


def _event(uid: str, **fields: object) -> dict[str, object]:
    return {"ea": "view", "ec": "product", "sid": 1, "aid": "a", "uid": uid} | fields


def _post(served: Proxy, body: object, **headers: str) -> Response:
    return served.send(
        "POST",
        f"/event?{_QUERY}&resp_type=json",
        json.dumps(body).encode(),
        content_type="application/json",
        **headers,
    )


def _records(served: Proxy) -> list[dict[str, Any]]:
    return [record for node in served.nodes for record in node.stored()]


def _stored(served: Proxy, uid: str) -> dict[str, Any]:
    """The one record of the event with this uid."""
    (record,) = [each for each in _records(served) if each["event"]["uid"] == uid]
    return record


@pytest.mark.parametrize("kind", _KINDS)
def test_the_shipped_file_is_valid(kind: str, tmp_path: Path) -> None:
    assert faults(kind, tmp_path) == ""


def test_events_and_batches_arrive_on_both_nodes_with_secure_cookies(served: Proxy) -> None:
    for number in range(8):
        response = _post(served, _event(f"single-{number}"))
        assert response.status == 200
        assert "secure" in response.headers["set-cookie"].lower()
    assert _post(served, [_event(f"batch-{number}") for number in range(100)]).json()["accepted"] == 100
    assert all(node.stored() for node in served.nodes)


def test_a_body_of_5_mib_arrives_and_a_larger_one_is_refused(served: Proxy) -> None:
    rest = "x" * 60_150
    lines = [json.dumps(_event(f"large-{number}", context={"rest": rest})) for number in range(87)]
    lines[-1] += " " * ((5 << 20) - len("\n".join(lines)))
    body = "\n".join(lines).encode()
    target = f"/event?{_QUERY}&resp_type=json"
    ndjson = {"content_type": "application/x-ndjson"}
    assert served.send("POST", target, body, **ndjson).json()["accepted"] == 87
    with suppress(ConnectionError, ssl.SSLEOFError):  # it may close before the whole body is sent
        assert served.send("POST", target, body + b"\n", **ndjson).status == 413


def test_pixels_and_redirects_pass(served: Proxy) -> None:
    fields = "ea=click&ec=product&sid=1&aid=a"
    pixel = served.send("GET", f"/event?{_QUERY}&resp_type=pixel&{fields}&uid=pixel")
    assert (pixel.status, pixel.headers["content-type"]) == (200, "image/gif")
    location = "https://shop.example.com/a?b=c"
    target = (
        f"/event?{_QUERY}&resp_type=redirect&{fields}&uid=click&redirect_url=https%3A%2F%2Fshop.example.com%2Fa%3Fb%3Dc"
    )
    click = served.send("GET", target)
    assert (click.status, click.headers["location"]) == (302, location)
    assert _stored(served, "click")["event"]["ea"] == _stored(served, "pixel")["event"]["ea"] == "click"


def test_a_long_url_and_many_headers_pass(served: Proxy) -> None:
    long = "x" * 15_000
    fields = f"ea=view&ec=product&sid=1&aid=a&uid=long&other={long}"
    assert served.send("GET", f"/event?{_QUERY}&resp_type=json&{fields}", cookie=long, x_other=long).status == 200


def test_the_stored_address_is_the_clients_own_whatever_it_claims(served: Proxy) -> None:
    claims = {"x_forwarded_for": "203.0.113.9", "forwarded": "for=203.0.113.9;proto=http", "x_forwarded_proto": "http"}
    response = _post(served, _event("spoofed"), address="127.0.0.77", **claims)
    assert _stored(served, "spoofed")["ip"] == "127.0.0.77"
    assert "secure" in response.headers["set-cookie"].lower()


def test_a_client_that_leaves_in_the_middle_of_a_body_stores_nothing(served: Proxy) -> None:
    body = json.dumps(_event("left")).encode()
    head = f"POST /event?{_QUERY} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body) + 1}\r\n\r\n".encode()
    with served.connect() as connection:
        connection.sendall(head + body)
    assert _post(served, _event("stayed")).status == 200
    assert [each for each in _records(served) if each["event"]["uid"] == "left"] == []


def test_a_refusal_passes_as_it_is(served: Proxy) -> None:
    response = _post(served, {"ea": "view"})
    assert (response.status, response.json()["code"]) == (400, "invalid_event")


def test_the_proxy_logs_no_ids(served: Proxy) -> None:
    target = f"/event?{_QUERY}&uid=u-secret"
    assert served.send("GET", target).status == 400
    with suppress(ConnectionError, ssl.SSLEOFError):
        assert served.send("PUT", target, b"x" * 100_000, content_length=str(6 << 20)).status == 413
    eventually(lambda: "/event" in served.logged(), "the failures are logged")
    assert "u-secret" not in served.logged()
    assert "prop_id" not in served.logged()


@pytest.mark.parametrize("kind", _KINDS)
def test_a_request_that_a_node_has_received_is_never_sent_to_another(kind: str, tmp_path: Path) -> None:
    with dying_nodes(kind, tmp_path) as (served, received):
        for method in ("GET", "POST"):
            shed = served.send(method, f"/event?{_QUERY}&uid=shed-{method}")
            assert (shed.status, shed.headers["retry-after"]) == (503, "7")
        targets = [f"/event?{_QUERY}&uid=u-{number}" for number in range(4)]
        for target, method in zip(targets, ("GET", "POST", "GET", "POST"), strict=True):
            assert served.send(method, target).status == 502
        counts = Counter(received)
        assert len(counts) >= 4, "both methods were tried"
        assert set(counts.values()) == {1}


@pytest.mark.parametrize("kind", _KINDS)
def test_a_node_that_is_killed_loses_no_event_with_a_200_and_no_event_is_stored_twice(
    kind: str, tmp_path: Path
) -> None:
    with proxy(kind, tmp_path) as served:
        clients = [_Client(served, name) for name in range(_CLIENTS)]
        for client in clients:
            client.thread.start()
        eventually(lambda: all(client.sent > _EVENTS for client in clients), "events are arriving")
        served.nodes[0].kill()
        for client in clients:
            client.thread.join()
        stored = Counter(record["event"]["uid"] for record in _records(served))
        assert [uid for client in clients for uid in client.acknowledged if not stored[uid]] == []
        assert {uid: count for uid, count in stored.items() if count > 1} == {}
        assert all(client.acknowledged[-1] == client.last for client in clients), "the other node takes over"


class _Client:
    """Sends events, POST and GET in turn, each once, until it has sent `_EVENTS` more than before the kill."""

    def __init__(self, served: Proxy, number: int) -> None:
        self.sent = 0
        self.last = ""
        self.acknowledged: list[str] = []
        self.thread = threading.Thread(target=self._send, args=(served, number), daemon=True)

    def _send(self, served: Proxy, number: int) -> None:
        for self.sent in range(_EVENTS * 3):
            uid = self.last = f"{number}-{self.sent}"
            with suppress(ConnectionError, AssertionError):
                if self._status(served, uid) == 200:
                    self.acknowledged.append(uid)

    def _status(self, served: Proxy, uid: str) -> int:
        if self.sent % 2:
            return _post(served, _event(uid)).status
        fields = f"ea=view&ec=product&sid=1&aid=a&uid={uid}"
        return served.send("GET", f"/event?{_QUERY}&resp_type=pixel&{fields}").status
