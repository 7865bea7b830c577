"""The kinds of sinks: how to install each, and why each event arrives once."""

from typing import Final

from collector.settings.sinks import SINK_KINDS
from tools.docs.markdown import table

ONCE_BECAUSE: Final = {
    "file": "A file is linked into place whole, under a name that follows from its events, and never overwritten.",
    "kafka": "A transaction holds the events and the cursor; consumers must read with `read_committed`.",
    "objects": "An object is created once, under a name that follows from its events: the store must honour "
    "`if-none-match: *`, which each start tries.",
    "http": "The receiver drops an `Idempotency-Key` that it has seen, or tells through `resume_url` what it has. "
    "Any other receiver gets each event at least once.",
}
"""By kind. A test compares the keys with those of the table of kinds."""
_BUILT_IN: Final = ("file",)


def parts() -> dict[str, str]:
    """A table of all kinds."""
    rows = [(f"[`{kind}`](#{kind})", _install(kind), ONCE_BECAUSE[kind]) for kind in SINK_KINDS]
    return {"sinks.guarantees": table(("type", "install", "each event once, because"), rows)}


def _install(kind: str) -> str:
    return "built in" if kind in _BUILT_IN else f"`pip install '.[{kind}]'`"
