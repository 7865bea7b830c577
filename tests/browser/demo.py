"""The demo shop on a collector of its own, and a walk through it in Chromium.

`python -m tests.browser.demo FOLDER` saves a picture of each view, light and dark, at three widths.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.chromium import NEEDS_CHROMIUM, chromium
from tests.running import Collector, running

IN_CHROMIUM = [pytest.mark.clients, NEEDS_CHROMIUM]
"""The marks of a file of tests."""
SCHEMES = ("light", "dark")
_SETTINGS = """
[server]
port = {port}
workers = {workers}
demo = "shop"
[[property]]
portal_id = 33167
prop_id = 564990801
id = "shop"
required = ["ea", "ec"]
dedup = "26h"
"""
_WIDTHS = (360, 1280, 1920)


@contextmanager
def demo_shop(folder: Path) -> Iterator[Collector]:
    """A collector that serves the demo shop."""
    with running(folder, 1, _SETTINGS) as collector:
        yield collector


def window(browser: Browser, width: int, scheme: str) -> BrowserContext:
    """A window of a visitor whose system is light or dark."""
    return browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if scheme == "dark" else "light"
    )


def walk(page: Page, shop: Collector, consent: str) -> Iterator[str]:
    """Buy a clock; yields the name of each view when it shows."""
    page.goto(f"http://127.0.0.1:{shop.port}/demo")
    yield "consent"
    page.click(f"[data-consent={consent}]")
    page.click("main a:has-text('Wall clock')")
    page.wait_for_selector("h1:has-text('Wall clock')")
    yield "product"
    page.click("text=Add to cart")
    page.click("nav >> text=Cart (1)")
    page.wait_for_selector("h1:has-text('Your cart')")
    yield "cart"
    page.click("text=Check out")
    page.wait_for_selector("h1:has-text('Thank you')")
    page.evaluate("document.querySelector('details').open = true")
    yield "thanks"


def _save_pictures(folder: Path) -> None:
    with TemporaryDirectory() as place, demo_shop(Path(place)) as shop, chromium() as browser:
        for width in _WIDTHS:
            for scheme in SCHEMES:
                with window(browser, width, scheme) as context:
                    page = context.new_page()
                    for view in walk(page, shop, "granted"):
                        page.wait_for_timeout(500)
                        page.screenshot(path=folder / f"{view}-{width}-{scheme}.png")


if __name__ == "__main__":
    _save_pictures(Path(sys.argv[1]))
