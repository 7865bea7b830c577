"""Browsers, pages and a collector that all scenes share, and a scene with a visitor of its own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.tracker import chromium, firefox
from tests.tracker.background import Background
from tests.tracker.browser import Browser
from tests.tracker.chromium import Chromium
from tests.tracker.firefox import Firefox
from tests.tracker.scene import Scene, Site, site


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
    """Starts a browser by its name, once."""
    started: dict[str, Browser] = {}
    makers: dict[str, Callable[[Path], Browser]] = {
        "chromium": lambda folder: Chromium(background, folder),
        "firefox": lambda folder: Firefox(background, folder),
    }

    def get(name: str) -> Browser:
        if name not in started:
            started[name] = makers[name](tmp_path_factory.mktemp(name))
        return started[name]

    yield get
    for each in started.values():
        each.close()


@pytest.fixture(params=["chromium"])
def browser(request: pytest.FixtureRequest, browsers: Callable[[str], Browser]) -> Browser:
    """Chromium, or what a test names by `indirect`."""
    programs = {"chromium": chromium.PROGRAM, "firefox": firefox.PROGRAM}
    if programs[request.param] is None:
        pytest.skip(f"{request.param} is not installed; on Debian: apt-get install chromium firefox-esr")
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
