"""Prometheus itself, with the settings in deploy/prometheus/, scrapes a collector and evaluates the alert rules."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from bench.processes import free_port, is_connectable, started
from collector.ops.metric_table import METRICS
from tests.running import PATIENCE_SECONDS, Collector, eventually, running

_DEPLOYED = Path(__file__).parents[2] / "deploy/prometheus"
_TOKEN = "a token that is long enough"
_SETTINGS = """
[server]
port = {port}
workers = {workers}
[admin]
port = 0
token = "env:TRACKLOG_ADMIN_TOKEN"
[[property]]
portal_id = 33167
prop_id = 564990801
[[sink]]
type = "file"
dir = "data/events"
flush_seconds = 0.05
"""

with_prometheus = pytest.mark.skipif(
    not shutil.which("prometheus"), reason="prometheus is not installed; .ci/run installs it"
)


@with_prometheus
def test_prometheus_scrapes_a_node_and_evaluates_every_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKLOG_ADMIN_TOKEN", _TOKEN)
    with running(tmp_path, workers=2, settings=_SETTINGS) as collector, _prometheus(tmp_path, collector) as port:
        event = {"ea": "view", "ec": "product", "sid": 1, "aid": "a", "uid": "u"}
        for _ in range(3):
            assert collector.post(event).status == 200
        stored = 'tracklog_events_stored_total{portal="33167",prop="564990801"}'
        eventually(lambda: _values(port, stored) == ["3"], "the events are scraped")
        eventually(lambda: _values(port, 'tracklog_sink_delivered_events_total{sink="file"}'), "so is the sink")
        names = set(_asked(port, "/api/v1/label/__name__/values")["data"])
        assert {metric.name for metric in METRICS if not metric.labels and metric.kind == "gauge"} <= names
        eventually(lambda: {rule["health"] for rule in _rules(port)} == {"ok"}, "each rule is evaluated")
        assert [rule["name"] for rule in _rules(port) if rule["state"] == "firing"] == []


def _rules(port: int) -> list[dict[str, Any]]:
    return [rule for group in _asked(port, "/api/v1/rules")["data"]["groups"] for rule in group["rules"]]


def _values(port: int, query: str) -> list[str]:
    """The values of a query now, each once."""
    found = _asked(port, f"/api/v1/query?query={quote(query)}")["data"]["result"]
    return sorted({sample["value"][1] for sample in found})


def _asked(port: int, path: str) -> Any:
    return json.loads(_get(port, path)[1])


def _status(port: int, path: str) -> int:
    return _get(port, path)[0]


def _get(port: int, path: str) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@contextmanager
def _prometheus(folder: Path, collector: Collector) -> Iterator[int]:
    """A Prometheus with the settings that are shipped, but for the address, the token's file and the intervals."""
    settings = folder / "prometheus"
    shutil.copytree(_DEPLOYED, settings)
    (settings / "token").write_text(_TOKEN)
    file = settings / "prometheus.yml"
    text = file.read_text()
    for shipped, here in (
        ("/run/secrets/tracklog_admin_token", str(settings / "token")),
        ("collector:8081", f"127.0.0.1:{collector.admin_port}"),
        ("15s", "200ms"),
    ):
        assert shipped in text
        text = text.replace(shipped, here)
    file.write_text(text)
    port = free_port()
    command = ["prometheus", f"--config.file={file}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    with started([*command, f"--web.listen-address=127.0.0.1:{port}"]):
        eventually(lambda: is_connectable(port), "Prometheus listens")
        eventually(lambda: _status(port, "/-/ready") == 200, "Prometheus serves")
        yield port
