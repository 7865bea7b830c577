"""Prometheus itself, with the settings in deploy/prometheus/, scrapes a collector and evaluates the alert rules."""

from pathlib import Path

import pytest

from collector.ops.metric_table import METRICS
from tests.deploy.prometheus import prometheus, with_prometheus
from tests.running import eventually, running

_TOKEN = "a-token-that-is-long-enough"
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


@with_prometheus
def test_prometheus_scrapes_a_node_and_evaluates_every_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKLOG_ADMIN_TOKEN", _TOKEN)
    with (
        running(tmp_path, workers=2, settings=_SETTINGS) as collector,
        prometheus(tmp_path, collector.admin_port, _TOKEN) as watch,
    ):
        event = {"ea": "view", "ec": "product", "sid": 1, "aid": "a", "uid": "u"}
        for _ in range(3):
            assert collector.post(event).status == 200
        stored = 'tracklog_events_stored_total{portal="33167",prop="564990801"}'
        eventually(lambda: watch.values(stored) == ["3"], "the events are scraped")
        eventually(lambda: watch.values('tracklog_sink_delivered_events_total{sink="file"}'), "so is the sink")
        names = set(watch.asked("/api/v1/label/__name__/values")["data"])
        assert {metric.name for metric in METRICS if not metric.labels and metric.kind == "gauge"} <= names
        eventually(lambda: {rule["health"] for rule in watch.rules()} == {"ok"}, "each rule is evaluated")
        assert [rule["name"] for rule in watch.rules() if rule["state"] == "firing"] == []
