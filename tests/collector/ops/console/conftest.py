"""A node to look at, and a tab with the page that looks at none."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.chromium import chromium
from tests.collector.ops.console.page.page_in_browser import Console
from tests.collector.ops.console.written_node import Node


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A data folder without a log."""
    node = Node(tmp_path)
    yield node
    node.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def console(browser: Browser) -> Iterator[Console]:
    """A tab in which nothing happens that must not."""
    console = Console(browser)
    yield console
    console.page.close()
    assert console.trouble == []
