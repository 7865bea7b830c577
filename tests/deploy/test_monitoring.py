"""The alert rules and the dashboard: promtool accepts them, they fire when they should, and their metrics exist."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from collector.ops.metric_table import METRICS
from tests.running import eventually, running

_ROOT = Path(__file__).parents[2]
_ALERTS = _ROOT / "deploy/prometheus/alerts.yaml"
_DASHBOARD = json.loads((_ROOT / "deploy/grafana/tracklog.json").read_text())
_RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(_ALERTS.read_text())["groups"] for rule in group["rules"]
]
_NAMES = [rule["alert"] for rule in _RULES]
_RUNBOOK = "https://tracklog.example/runbook"
_METRIC = re.compile(r"\b(?:tracklog|process)_\w+")
_VARIABLES = {"$__rate_interval": "5m", "$instance": ".*", "$portal": ".*", "$prop": ".*"}

with_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool is not installed; .ci/run installs it"
)


def _promtool(*arguments: str) -> str:
    done = subprocess.run(["promtool", *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@with_promtool
def test_promtool_accepts_the_settings_of_prometheus_and_the_rules_that_they_name(tmp_path: Path) -> None:
    shutil.copytree(_ALERTS.parent, tmp_path, dirs_exist_ok=True)
    settings, token = tmp_path / "prometheus.yml", tmp_path / "token"
    token.write_text("0123456789abcdef")
    settings.write_text(settings.read_text().replace("/run/secrets/tracklog_admin_token", str(token)))
    assert f"{len(_RULES)} rules found" in _promtool("check", "config", str(settings))


_SETTINGS = """
[server]
port = {port}
workers = {workers}
[admin]
port = 0
[[property]]
portal_id = 33167
prop_id = 564990801
[[sink]]
type = "file"
dir = "data/events"
flush_seconds = 0.05
"""


class _Scraped(Collector):
    """Metric families that were read from a node."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


@with_promtool
def test_promtool_accepts_the_metrics_of_a_running_node(tmp_path: Path) -> None:
    """In the older text format, which is the one that promtool reads."""
    with running(tmp_path, workers=2, settings=_SETTINGS) as collector:
        event = {"ea": "view", "ec": "product", "sid": 1, "aid": "a", "uid": "u"}
        assert (collector.post(event).status, collector.post(b"[").status) == (200, 400)
        eventually(collector.shipped, "the event is shipped")
        with urlopen(f"http://127.0.0.1:{collector.admin_port}/metrics") as response:
            families = list(text_string_to_metric_families(response.read().decode()))  # type: ignore[no-untyped-call]
    ready = next(family for family in families if family.name == "tracklog_ready")
    assert [(sample.labels, sample.value) for sample in ready.samples] == [({"place": "0"}, 1), ({"place": "1"}, 1)]
    registry = CollectorRegistry()
    registry.register(_Scraped(families))
    text = generate_latest(registry).decode()
    done = subprocess.run(["promtool", "check", "metrics"], input=text, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@with_promtool
def test_each_alert_fires_when_it_should_and_only_then() -> None:
    _promtool("test", "rules", str(_ROOT / "tests/deploy/alerts_test.yaml"))


@pytest.mark.parametrize("name", _NAMES)
def test_an_alert_has_a_scenario_in_which_it_fires_and_a_time_in_it_when_it_does_not(name: str) -> None:
    scenarios = yaml.safe_load((_ROOT / "tests/deploy/alerts_test.yaml").read_text())["tests"]
    samples = [[check["exp_samples"] for check in each["promql_expr_test"]] for each in scenarios]
    assert any([] in checks and f'alertname="{name}", alertstate="firing"' in str(checks) for checks in samples)


@pytest.mark.parametrize("rule", _RULES, ids=_NAMES)
def test_an_alert_says_what_is_wrong_how_urgent_it_is_and_where_its_page_is(rule: dict[str, Any]) -> None:
    assert re.fullmatch(r"Tracklog[A-Z]\w+", rule["alert"])
    assert rule["labels"] in ({"severity": "page"}, {"severity": "ticket"})
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"{_RUNBOOK}/{rule['alert']}.html"


def test_no_two_alerts_have_one_name() -> None:
    assert len(set(_NAMES)) == len(_NAMES)


def _panels() -> Iterator[dict[str, Any]]:
    yield from (panel for panel in _DASHBOARD["panels"] if panel["type"] != "row")


def _expressions() -> list[str]:
    """The expressions of the dashboard, with values for its variables."""
    found = [target["expr"] for panel in _panels() for target in panel["targets"]]
    for variable, value in _VARIABLES.items():
        found = [expression.replace(variable, value) for expression in found]
    return found


def test_every_metric_in_the_rules_and_the_dashboard_exists() -> None:
    variables = [each["definition"] for each in _DASHBOARD["templating"]["list"] if "definition" in each]
    used = _METRIC.findall(" ".join([*(rule["expr"] for rule in _RULES), *_expressions(), *variables]))
    assert len(used) > len(_RULES)
    assert {name.removesuffix("_bucket") for name in used} - {metric.name for metric in METRICS} == set()


@with_promtool
def test_promtool_accepts_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{at}", "expr": expression} for at, expression in enumerate(_expressions())]
    path = tmp_path / "panels.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    _promtool("check", "rules", str(path))


def test_every_panel_has_a_unit_and_knows_the_nodes_that_are_chosen() -> None:
    for panel in _panels():
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert all("$instance" in target["expr"] for target in panel["targets"])


def test_no_two_panels_overlap() -> None:
    places = [panel["gridPos"] for panel in _DASHBOARD["panels"]]
    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


def test_the_dashboard_offers_node_portal_and_property() -> None:
    names = [each["name"] for each in _DASHBOARD["templating"]["list"]]
    assert names == ["datasource", "instance", "portal", "prop"]
