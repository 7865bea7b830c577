"""A browser and a tab for the tests of the console. Each file of them has its own `node`."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.browser.axe import axe_source
from tests.browser.console import Tab
from tests.chromium import chromium
from tests.running import Collector


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core."""
    return axe_source()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A window that may use the clipboard."""
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        yield context


@pytest.fixture
def tab(node: Collector, context: BrowserContext) -> Iterator[Tab]:
    """A tab with the console, in which nothing happens that must not."""
    tab = Tab(context, node.admin_port)
    yield tab
    assert tab.trouble == []
