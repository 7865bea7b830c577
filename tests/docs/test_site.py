"""The built site: without warnings, without requests to other hosts, and readable by everybody."""

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from tests.chromium import MISSING, PROGRAM, chromium
from tests.docs.pages import ROOT

_RESOURCE = re.compile(r'<(?:script|img|link|iframe|source)\b[^>]*?\b(?:src|href|srcset)="((?:https?:)?//[^"]+)"')
_KINDS = ("index", "start/ten-minutes", "guides/kafka", "runbook/index", "reference/settings", "understand/performance")
_SERIOUS = ("serious", "critical")
_OF_THE_THEME = {"aria-dialog-name", "color-contrast", "link-in-text-block", "scrollable-region-focusable"}
"""Rules that the theme itself breaks, with its search box, palettes, links and wide tables. Nothing of it is edited."""


pytestmark = pytest.mark.clients


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class has it
        """Tests say what went wrong themselves."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with every warning an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """The site, served: search needs that."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if PROGRAM is None:
        pytest.skip(MISSING)
    with chromium() as browser:
        yield browser


def test_no_page_names_a_resource_of_another_host(site: Path) -> None:
    texts = {path: path.read_text() for path in site.rglob("*.html")}
    assert len(texts) > 30
    assert {str(path): found for path, text in texts.items() if (found := _RESOURCE.findall(text))} == {}


def test_every_page_loads_from_its_own_host_alone_and_without_an_error(
    site: Path, address: str, browser: Browser
) -> None:
    requests: list[str] = []
    faults: list[str] = []
    page = browser.new_page()
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("response", lambda response: faults.append(response.url) if response.status >= 400 else None)
    for path in sorted(site.rglob("*.html")):
        if path.name != "404.html":
            page.goto(f"{address}/{path.relative_to(site)}")
    page.close()
    assert faults == []
    assert [url for url in requests if not url.startswith((address, "data:", "blob:"))] == []


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_kind_of_page_is_accessible_and_fits(address: str, browser: Browser, width: int, scheme: str) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page = context.new_page()
    found = {}
    for name in _KINDS:
        page.goto(f"{address}/{name}.html")
        violations = Axe().run(page).response["violations"]
        found[name] = [
            (each["id"], each["nodes"][0]["html"])
            for each in violations
            if each["impact"] in _SERIOUS and each["id"] not in _OF_THE_THEME
        ]
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
    context.close()
    assert found == {name: [] for name in _KINDS}


@pytest.mark.parametrize(
    ("words", "target"),
    [
        ("log.retain_hours", "settings.html#log.retain_hours"),
        ("invalid_redirect", "error-codes.html#invalid_redirect"),
    ],
)
def test_search_finds_a_setting_and_a_code_first(address: str, browser: Browser, words: str, target: str) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(address)
    page.click("input.md-search__input")
    page.wait_for_function("document.querySelector('.md-search-result__meta').textContent.includes('Type to start')")
    page.keyboard.type(words)
    # the results of the first letters come and go meanwhile
    page.wait_for_selector(f'.md-search-result__item:first-child a[href*="{target}"]', state="attached")
    page.close()
