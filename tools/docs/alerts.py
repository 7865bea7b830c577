"""The alert rules: severity, duration and expression of each, for its page in the runbook."""

from pathlib import Path
from typing import Any, Final

import yaml

from tools.docs.markdown import fence

_RULES: Final = Path(__file__).parents[2] / "deploy/prometheus/alerts.yaml"


def parts() -> dict[str, str]:
    """A part for each alert, named by it."""
    return {f"alerts.{name}": _rule(rule) for name, rule in rules().items()}


def rules() -> dict[str, dict[str, Any]]:
    """Each alert rule by its name."""
    groups = yaml.safe_load(_RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def _rule(rule: dict[str, Any]) -> str:
    lasting = f", after it has held for {rule['for']}" if "for" in rule else ""
    return f"Severity: **{rule['labels']['severity']}**{lasting}. Rule:\n\n{fence('text', rule['expr'])}"
