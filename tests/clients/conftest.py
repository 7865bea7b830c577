"""The collector that all SDKs send to, and the browser of those for pages."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.chromium import WHOLE, chromium
from tests.clients.installed import MODULES
from tests.clients.pages import NOT_AUTOMATED, pages
from tests.clients.sdks import settings
from tests.running import Collector, running


@pytest.fixture(scope="session")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the pages are; an origin that serves nothing without the SDKs for pages."""
    if not MODULES.exists():
        yield "http://127.0.0.1:1"
        return
    with pages(tmp_path_factory.mktemp("pages")) as found:
        yield found


@pytest.fixture(scope="session")
def collector(origin: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A collector with a property for each SDK."""
    with running(tmp_path_factory.mktemp("collector"), 2, settings(origin)) as started:
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium. Its event loop holds this thread while it lives, and tests of other files need their own."""
    assert WHOLE, "the test must have been skipped"
    with chromium(NOT_AUTOMATED, program=WHOLE) as started:
        yield started
