"""The health check on the event port, under every server."""

import pytest

from tests.contract.test_refusals import SETTINGS
from tests.running import Collector, eventually, running


@pytest.mark.parametrize("target", ["/healthz", "/healthz?probe=1", "/%68ealthz"])
def test_a_worker_that_takes_events_is_ready(collector: Collector, target: str) -> None:
    response = collector.send("GET", target)
    assert (response.status, response.json()) == (200, {"status": "ready"})
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"


def test_head_gets_the_status_alone(collector: Collector) -> None:
    response = collector.send("HEAD", "/healthz")
    assert (response.status, response.body) == (200, b"")


def test_other_methods_are_refused(collector: Collector) -> None:
    response = collector.send("POST", "/healthz")
    assert (response.status, response.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("server", ["collector", "uvicorn"])
def test_a_full_disk_is_told_with_its_reason_while_nobody_sends_an_event(
    tmp_path_factory: pytest.TempPathFactory, server: str
) -> None:
    full = SETTINGS.replace("{min_free}", str(1 << 60))
    with running(tmp_path_factory.mktemp("full"), 1, full, server) as collector:
        eventually(lambda: collector.send("GET", "/healthz").status == 503, "health is red")
        body = collector.send("GET", "/healthz").json()
        assert body.pop("message")
        assert body == {"status": "not ready", "reason": "disk_full"}


def test_without_a_path_there_is_no_health_check(tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = SETTINGS.replace("[server]", '[server]\nhealth_path = ""').replace("{min_free}", "0")
    with running(tmp_path_factory.mktemp("none"), 1, settings) as collector:
        assert collector.send("GET", "/healthz").status == 404
