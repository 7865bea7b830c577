"""What a tracker in a page can see and send: the headers that CORS shows it, batches as text/plain, and the session."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from collector.endpoints import open_routes
from collector.errors import NotFound
from collector.http.documents import RefusesAll
from collector.http.routes import Routes
from collector.settings import ServerSettings
from tests.collector.live_intake import head_for, pairs_of
from tests.running import Collector, Response, running

ORIGIN = "https://shop.example.com"
SETTINGS = """
[server]
port = {port}
workers = {workers}
[log]
warn_free_bytes = 0
min_free_bytes = {min_free}
[[property]]
portal_id = 33167
prop_id = 1
id = "shop"
origins = ["https://shop.example.com"]
required = ["ea", "ec"]
dedup = "26h"
[[property]]
portal_id = 33167
prop_id = 2
id = "slow"
origins = ["https://shop.example.com"]
required = ["ea", "ec"]
events_per_second = 0.1
"""
VIEW: dict[str, Any] = {"ea": "view", "ec": "product", "aid": "a-1"}
READABLE = {"retry-after", "x-event-ack", "x-event-duplicate", "x-event-id"}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A node with properties for pages."""
    with running(tmp_path_factory.mktemp("pages"), 1, SETTINGS.replace("{min_free}", "0")) as collector:
        yield collector


def _send(node: Collector, events: object, more: str = "", *, name: str = "shop", origin: str = ORIGIN) -> Response:
    target = f"/event?id={name}&resp_type=json&queued=1{more}"
    return node.send(
        "POST", target, json.dumps(events).encode(), content_type="text/plain;charset=UTF-8", origin=origin
    )


def _is_readable(response: Response) -> bool:
    exposed = response.headers.get("access-control-expose-headers", "").split(", ")
    return response.headers.get("access-control-allow-origin") == ORIGIN and set(exposed) >= READABLE


@pytest.mark.parametrize("is_batch", [False, True])
def test_a_page_can_read_that_its_events_are_stored(node: Collector, is_batch: bool) -> None:
    response = _send(node, [VIEW, VIEW] if is_batch else VIEW)
    assert (response.status, response.headers["x-event-ack"]) == (200, "fsync")
    assert _is_readable(response)


@pytest.mark.parametrize("events", [{"ea": 1}, [{"ea": 1}], "x", []])
def test_a_page_can_read_why_its_events_are_refused(node: Collector, events: object) -> None:
    response = _send(node, events)
    assert response.status == 400
    assert _is_readable(response)


@pytest.mark.parametrize("events", [VIEW, [VIEW, VIEW]])
def test_a_page_can_read_how_long_to_wait_after_a_429(node: Collector, events: object) -> None:
    answers = [_send(node, events, name="slow") for _ in range(2)]
    assert answers[-1].status == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert _is_readable(answers[-1])


@pytest.mark.parametrize("events", [VIEW, [VIEW, VIEW]])
def test_a_page_can_read_how_long_to_wait_after_a_503(full: Collector, events: object) -> None:
    response = _send(full, events)
    assert (response.status, response.headers["retry-after"]) == (503, "1")
    assert _is_readable(response)


def test_a_page_can_read_how_long_to_wait_until_the_log_is_open() -> None:
    routes = Routes({}, RefusesAll(NotFound().refusal))
    open_routes(ServerSettings(), routes)
    response = routes.find(b"/event").admit(head_for("POST", "", b"{}", origin=ORIGIN))
    headers = dict(pairs_of(response.headers))
    assert (response.status, headers[b"retry-after"], headers[b"access-control-allow-origin"]) == (503, b"1", b"*")
    assert b"retry-after" in headers[b"access-control-expose-headers"]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A node whose disk is full."""
    settings = SETTINGS.replace("{min_free}", str(1 << 60)).replace(
        "warn_free_bytes = 0", f"warn_free_bytes = {1 << 60}"
    )
    with running(tmp_path_factory.mktemp("full"), 1, settings) as collector:
        yield collector


def test_a_batch_is_answered_with_what_became_of_each_event(node: Collector) -> None:
    first = _send(node, {**VIEW, "event_id": "order-1"})
    assert first.status == 200
    events = [{**VIEW, "event_id": "order-1"}, {"ea": "view"}, {**VIEW, "event_id": "order-2"}]
    answer = _send(node, events).json()
    assert (answer["type"], answer["accepted"], answer["duplicates"]) == ("batch", 1, [0])
    assert [(each["index"], each["field"], each["code"]) for each in answer["rejected"]] == [(1, "ec", "missing")]
    assert answer["an_session"]


def test_the_token_of_a_batch_carries_the_session_to_the_next_batch_and_to_a_lone_event(node: Collector) -> None:
    token = _send(node, [VIEW, VIEW]).json()["an_session"]
    token = _send(node, [VIEW], f"&an_session={token}").json()["an_session"]
    _send(node, {**VIEW, "uid": "last"}, f"&an_session={token}")
    records = node.stored()[-4:]
    assert [record["session"]["hits"] for record in records] == [1, 2, 3, 4]
    assert len({record["client_id"] for record in records}) == 1


@pytest.mark.parametrize("events", [VIEW, [VIEW]])
def test_a_page_of_another_origin_is_refused_and_reads_nothing(node: Collector, events: object) -> None:
    before = len(node.stored())
    response = _send(node, events, origin="https://evil.example.net")
    assert response.status == 403
    assert "access-control-allow-origin" not in response.headers
    assert len(node.stored()) == before


@pytest.mark.parametrize("events", [{"ea": "view", "ec": "page"}, [{"ea": "view", "ec": "page"}]])
def test_an_event_without_an_id_of_its_visitor_is_stored(node: Collector, events: object) -> None:
    assert _send(node, events).status == 200
