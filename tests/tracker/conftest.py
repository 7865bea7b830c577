"""Browsers, pages and a collector that all scenes share, and a scene with a visitor of its own."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.crash.tally import table
from tests.tracker import chromium, firefox, webkit
from tests.tracker.background import Background
from tests.tracker.browser import Browser
from tests.tracker.chromium import Chromium
from tests.tracker.firefox import Firefox
from tests.tracker.scene import Scene, Site, site
from tests.tracker.totals import Total
from tests.tracker.webkit import WebKit

_PACKAGES = {"chromium": "chromium", "firefox": "firefox-esr", "webkit": "webkit2gtk-driver xvfb"}
_TOTALS = pytest.StashKey[dict[str, Total]]()


@pytest.fixture(scope="session")
def background() -> Iterator[Background]:
    """The loop of everything that is not the browser."""
    with closing(Background()) as started:
        yield started


@pytest.fixture(scope="session")
def where(background: Background, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The pages and the collector."""
    with site(background, tmp_path_factory.mktemp("site")) as found:
        yield found


@pytest.fixture(scope="session")
def browsers(background: Background, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Browser]]:
    """Starts a browser by its name, once, whichever thread asks first."""
    started: dict[str, Browser] = {}
    lock = threading.Lock()
    makers: dict[str, Callable[[Path], Browser]] = {
        "chromium": lambda folder: Chromium(background, folder),
        "firefox": lambda folder: Firefox(background, folder),
        "webkit": WebKit,
    }

    def get(name: str) -> Browser:
        with lock:
            if name not in started:
                started[name] = makers[name](tmp_path_factory.mktemp(name))
            return started[name]

    yield get
    for each in started.values():
        each.close()


@pytest.fixture(params=["chromium"])
def browser(request: pytest.FixtureRequest, browsers: Callable[[str], Browser]) -> Browser:
    """Chromium, or what a test names by `indirect`."""
    installed = {"chromium": chromium.PROGRAM, "firefox": firefox.PROGRAM, "webkit": webkit.IS_INSTALLED}
    if not installed[request.param]:
        pytest.skip(f"{request.param} is not installed; on Debian: apt-get install {_PACKAGES[request.param]}")
    return browsers(request.param)


@pytest.fixture
def begin(where: Site, browser: Browser) -> Iterator[Callable[[], Scene]]:
    """Begins scenes that go on side by side, each with a new visitor."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(Scene(where, browser.visitor())))


@pytest.fixture
def scene(begin: Callable[[], Scene]) -> Scene:
    """One scene, whose visitor looks at no page yet."""
    return begin()


@pytest.fixture
def totals(request: pytest.FixtureRequest) -> Callable[[str], Total]:
    """The row of the closing table for scenes of one kind."""
    rows = request.config.stash.setdefault(_TOTALS, {})
    return lambda kind: rows.setdefault(kind, Total(kind))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table, if there is a row."""
    if rows := config.stash.get(_TOTALS, {}):
        terminalreporter.section("scenes of the tracker")
        for line in table([*rows.values()]):
            terminalreporter.write_line(line)
