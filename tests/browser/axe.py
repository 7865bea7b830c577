"""axe-core, which finds what is not accessible in a page."""

from pathlib import Path
from typing import Any

import axe_playwright_python
from playwright.sync_api import Page


def axe_source() -> str:
    """The source of axe-core."""
    (path,) = Path(axe_playwright_python.__file__).parent.rglob("axe.min.js")
    return path.read_text()


def violations(page: Page, axe: str) -> list[Any]:
    """The rules that a page violates, each with one element. The page's policy stays in force."""
    page.evaluate(axe)
    found: list[Any] = page.evaluate("axe.run().then(({violations}) => violations.map(v => [v.id, v.nodes[0].html]))")
    return found
