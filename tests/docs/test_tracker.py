"""The guide to the tracker shows the recipes that tests run, and names every option and call that there is."""

import re
from pathlib import Path

from tests.clients.shop import RECIPES
from tests.clients.snippets import snippet
from tests.docs.pages import ROOT, page

_REASON = "tests/clients/test_recipes.py runs it"
_SOURCE = ROOT / "collector/web/src"
_GUIDE = page("guides/tracker.md")
_NOT_SHOWN = "server.mjs"
"""It shows that nothing happens."""


def _struct(name: str) -> set[str]:
    """The members of a type of the tracker's source."""
    body = (_SOURCE / "types.ts").read_text().partition(f"interface {name} {{")[2].partition("\n}")[0]
    return set(re.findall(r"^  (\w+)\??:", body, re.MULTILINE))


def test_the_guide_shows_each_recipe_that_is_run_and_no_other() -> None:
    shown = sorted(block.text for block in _GUIDE.blocks if block.skip == _REASON)
    assert shown == sorted(snippet(path) for path in RECIPES.iterdir() if path.name != _NOT_SHOWN)


def test_the_guide_names_each_option_and_each_call() -> None:
    spans = set(re.findall(r"`'?(\w+)[^`]*`", _GUIDE.text))
    calls = (_SOURCE / "index.ts").read_text().partition("{")[2].partition("}")[0]
    assert len(_struct("Options")) > 10
    assert _struct("Options") <= spans
    assert set(re.findall(r"\w+", calls)) - {"init"} <= spans


def test_the_limits_of_the_page_are_those_of_the_source() -> None:
    text = page("understand/what-the-tracker-promises.md").text
    source = "".join(path.read_text() for path in Path(_SOURCE).glob("*.ts"))
    limits = {"MOST_HELD = 50": "| 50,", "MOST_EVENTS = 400": "| 400,", "MOST_LENGTH = 262144": "262,144 characters"}
    limits |= {
        "MOST_BYTES = 16384": "16,384 bytes",
        "MOST_BYTES = 48e3": "48,000 bytes",
        "MOST_EVENTS = 50": "| 50 events,",
    }
    limits |= {"MOST_KEEPALIVE = 6e4": "60,000 bytes", "TIMEOUT = 1e4": "10 s", "7 * DAY": "7 days"}
    assert [named for code, named in limits.items() if code not in source or named not in text] == []
