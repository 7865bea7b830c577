"""The console of a real node in real Chromium while its admin process is killed, and its views with real data."""

import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.axe import violations
from tests.browser.console import Tab, console_node, listed, open_views
from tests.browser.demo import IN_CHROMIUM, window
from tests.running import Collector, eventually

pytestmark = IN_CHROMIUM


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with console_node(tmp_path_factory.mktemp("console")) as node:
        yield node


def _post(node: Collector, ea: str) -> None:
    assert node.post({"ea": ea, "ec": "product", "uid": "u-1"}).status == 200


def test_when_the_admin_process_is_killed_the_stream_goes_on_and_the_charts_are_kept(node: Collector, tab: Tab) -> None:
    page = tab.open("/live?ec=product")
    _post(node, "before")
    eventually(lambda: listed(page) == ["stored before product u-1"], "the row is listed")
    eventually(lambda: _known(tab) > 0, "a step of the charts is known")
    known = _known(tab)
    (killed,) = node.admin_processes()
    killed.send_signal(signal.SIGKILL)
    _post(node, "meanwhile")
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.locator(".sizer [role=row]:visible", has_text="meanwhile")).to_be_visible()
    expect(page.get_by_text("Some rows were not shown while the admin process restarted")).to_be_visible()
    _post(node, "after")
    rows = [f"stored {ea} product u-1" for ea in ("after", "meanwhile", "before")]
    eventually(lambda: listed(page) == rows, "rows arrive again, and none twice")
    assert _known(tab) >= known
    assert node.admin_processes() != [killed]


def _known(tab: Tab) -> int:
    """How many steps of 10 s of the last hour have a value."""
    values = tab.get("/api/series?names=stored&seconds=3600")["values"]["stored"]
    return sum(value is not None for value in values)


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1920, "light")])
def test_every_view_is_accessible_fits_and_loads_again_with_real_data(
    node: Collector, browser: Browser, axe: str, width: int, scheme: str
) -> None:
    for ea in ("view", "click", "view"):
        _post(node, ea)
    node.post({"ec": "product"})
    node.send("GET", "/event?portal_id=33167&prop_id=9&ea=view&ec=page")
    with window(browser, width, scheme) as context:
        tab = Tab(context, node.admin_port)
        for view in open_views(tab, "view"):
            page = tab.page
            assert violations(page, axe) == [], view
            assert page.evaluate("document.documentElement.scrollWidth") <= width, view
        assert tab.trouble == []
