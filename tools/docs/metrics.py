"""The metrics of `/metrics`: an entry for each, with the alerts and the panels of the dashboard that read it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from collector.ops.metric import Metric
from collector.ops.metric_table import METRICS
from tools.docs.alerts import rules
from tools.docs.markdown import heading

_DASHBOARD: Final = Path(__file__).parents[2] / "deploy/grafana/tracklog.json"
_ENDS: Final = {"histogram": "_(?:bucket|sum|count)", "counter": "", "gauge": "", "info": ""}
"""What follows a metric's name in an expression, by kind."""


def parts() -> dict[str, str]:
    """All metrics, in the order of the code."""
    panels = _panels()
    alerts = {name: [str(rule["expr"])] for name, rule in rules().items()}
    return {"metrics.all": "\n\n".join(_entry(metric, alerts, panels) for metric in METRICS)}


def readers(metric: Metric, expressions: dict[str, list[str]]) -> list[str]:
    """The names under which an expression reads the metric."""
    pattern = re.compile(rf"\b{metric.name}{_ENDS[metric.kind]}\b")
    return [name for name, texts in expressions.items() if any(map(pattern.search, texts))]


def _entry(metric: Metric, alerts: dict[str, list[str]], panels: dict[str, list[str]]) -> str:
    links = ", ".join(f"[{name}](../runbook/{name}.md)" for name in readers(metric, alerts))
    shown = ", ".join(readers(metric, panels))
    read = f"Alert: {links or 'none'} · panel: {shown or 'none'}"
    return "\n\n".join([heading(3, metric.name), " · ".join(_facts(metric)), metric.help, read])


def _facts(metric: Metric) -> Iterator[str]:
    yield metric.kind
    yield f"labels: {', '.join(f'`{label}`' for label in metric.labels)}" if metric.labels else "no labels"
    if metric.unit:
        yield f"unit: {metric.unit}"
    if metric.bounds:
        yield f"buckets up to {', '.join(f'{bound:g}' for bound in metric.bounds)}"


def _panels() -> dict[str, list[str]]:
    """The expressions of each panel of the dashboard, by its title."""
    panels: list[dict[str, Any]] = json.loads(_DASHBOARD.read_text())["panels"]
    return {panel["title"]: [target["expr"] for target in panel.get("targets", [])] for panel in panels}
