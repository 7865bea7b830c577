"""The kinds of sinks: how to install each, and why each event arrives once."""

import tomllib
from pathlib import Path

from collector.settings.sinks import SINK_KINDS
from tools.docs.markdown import table

_PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def parts() -> dict[str, str]:
    """A table of all kinds."""
    extras = tomllib.loads(_PROJECT.read_text())["project"]["optional-dependencies"]
    rows = [
        (f"[`{kind}`](#{kind})", f"`pip install '.[{kind}]'`" if kind in extras else "built in", sink.once_because)
        for kind, sink in SINK_KINDS.items()
    ]
    return {"sinks.guarantees": table(("type", "install", "each event once, because"), rows)}
