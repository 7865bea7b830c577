"""The console in real Chromium without a network, without a mouse, in forced colours, and with too many viewers."""

import json
import re
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from collector.ops.console.live.stream import MOST_STREAMS
from tests.browser.axe import violations
from tests.browser.console import Tab, console_node, listed
from tests.browser.demo import IN_CHROMIUM
from tests.running import PATIENCE_SECONDS, Collector, eventually

pytestmark = IN_CHROMIUM
_SILENT_MS = 15_000
_RETRY_MS = 5000
_MOST_TABS = 60
"""Presses of the Tab key that lead to any control of a view."""
_FOCUSED = "(document.activeElement.ariaLabel ?? '') + ' ' + document.activeElement.textContent"
_WORDLESS = """[...document.querySelectorAll('.state')]
    .filter(state => !/[^\\s\\w]\\s*\\w/.test(state.textContent)).map(state => state.outerHTML)"""
"""States that have no shape, or no word after it."""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with console_node(tmp_path_factory.mktemp("console")) as node:
        yield node


def _post(node: Collector, **fields: Any) -> None:
    assert node.post({"ea": "view", "uid": "u-1", **fields}).status == 200


def _refuse(node: Collector, events: int) -> None:
    """Post to the property that wants a `sid`."""
    for number in range(events):
        body = json.dumps({"ea": "pay", "ec": "till", "uid": f"u-{number}"}).encode()
        target = "/event?portal_id=33167&prop_id=3"
        assert node.send("POST", target, body, content_type="application/json").status == 400


def _actions(page: Page) -> list[str]:
    return [row.split()[1] for row in listed(page)]


def test_without_a_network_the_page_says_so_and_goes_on_without_a_gap(
    node: Collector, tab: Tab, context: BrowserContext
) -> None:
    tab.page.clock.install()
    page = tab.open("/live?ec=network")
    _post(node, ec="network", ea="before")
    eventually(lambda: _actions(page) == ["before"], "the row is listed")
    context.set_offline(True)  # open connections stay, but nothing comes any more
    page.clock.fast_forward(_SILENT_MS)
    expect(page.get_by_role("alert")).to_have_text("▲ Connection lost.")
    expect(page.locator(".coverage")).to_have_text("not connected: the list is as it was")
    _post(node, ec="network", ea="meanwhile")
    assert _actions(page) == ["before"]
    context.set_offline(False)
    eventually(lambda: _actions(page) == ["meanwhile", "before"], "what came meanwhile is listed")
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.get_by_text("were not shown")).to_have_count(0)


def test_while_the_node_is_stopped_the_page_says_so_and_then_tells_the_gap(node: Collector, tab: Tab) -> None:
    page = tab.open("/live?ec=stopped")
    _post(node, ec="stopped", ea="before")
    eventually(lambda: _actions(page) == ["before"], "the row is listed")
    assert node.stop() == 0
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.locator(".coverage")).to_have_text("not connected: the list is as it was")
    node.start()
    _post(node, ec="stopped", ea="after")
    eventually(lambda: _actions(page) == ["after", "before"], "rows arrive again, and none twice")
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.get_by_text("Some rows were not shown while the admin process restarted")).to_be_visible()


def test_scrolling_away_from_the_newest_row_pauses_the_list(node: Collector, tab: Tab) -> None:
    events = [{"ea": f"row-{number}", "ec": "scroll", "uid": "u-1"} for number in range(60)]
    assert node.post(events).status == 200
    page = tab.open("/live?ec=scroll")
    eventually(lambda: "row-59" in _actions(page), "the list is full")
    pause = page.locator("button.pause")
    expect(pause).to_have_attribute("aria-pressed", "false")
    page.get_by_label("rows", exact=True).hover()
    page.mouse.wheel(0, 400)
    expect(pause).to_have_attribute("aria-pressed", "true")
    seen = _actions(page)
    _post(node, ec="scroll", ea="newest")
    page.get_by_role("button", name="1 new while paused").wait_for()
    assert _actions(page) == seen
    page.get_by_role("button", name="1 new while paused").click()
    eventually(lambda: _actions(page)[0] == "newest", "the list goes on at its top")
    expect(pause).to_have_attribute("aria-pressed", "false")


def test_one_viewer_too_many_is_told_why_and_gets_in_when_another_one_leaves(node: Collector, tab: Tab) -> None:
    viewers = [HTTPConnection("127.0.0.1", node.admin_port, timeout=PATIENCE_SECONDS) for _ in range(MOST_STREAMS)]
    streams = []
    try:
        for viewer in viewers:
            viewer.request("GET", "/api/stream?topics=now")
            streams.append(viewer.getresponse())  # a response that ends with its connection holds the socket
        assert {stream.status for stream in streams} == {200}
        page = tab.page
        page.clock.install()
        page.goto(f"{tab.origin}/now")
        alert = page.get_by_role("alert")
        expect(alert).to_have_text("▲ 20 viewers are open already: close one, then try again")
    finally:
        for stream in streams:
            stream.close()

    def gets_in() -> bool:
        page.clock.fast_forward(_RETRY_MS)
        return alert.count() == 0

    eventually(gets_in, "the server has seen that the others left")
    expect(page.locator(".health")).to_contain_text("ready")


def _tab_to(page: Page, name: str) -> None:
    """Press the Tab key until a control of this name has the focus."""
    for _ in range(_MOST_TABS):
        page.keyboard.press("Tab")
        if name in page.evaluate(_FOCUSED):
            return
    pytest.fail(f"the Tab key never leads to {name}")


def test_a_redrive_needs_no_mouse(node: Collector, tab: Tab) -> None:
    _refuse(node, 2)
    settings = node.folder / "collector.toml"
    settings.write_text(settings.read_text().replace('"ea", "ec", "sid"', '"ea", "ec"'))
    page = tab.open("/")
    page.keyboard.press("g")
    page.keyboard.press("d")
    expect(page.get_by_role("heading", name="Dead letters", level=1)).to_be_visible()
    expect(page.get_by_role("link", name="sid: missing")).to_be_visible()
    _tab_to(page, "sid: missing")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"[?&]reason=sid"))
    _tab_to(page, "Preview redrive of 2")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Redrive 2")).to_be_visible()
    assert "Preview redrive of 2" in page.evaluate(_FOCUSED), "the focus stays, and not on a dangerous button"
    _tab_to(page, "Redrive 2")
    page.keyboard.press("Enter")
    expect(page.locator(".jobs")).to_contain_text("✓ done")
    assert sorted(record["event"]["uid"] for record in node.stored() if record["prop_id"] == 3) == ["u-0", "u-1"]


def test_forced_colours_leave_shapes_and_words_and_every_view_accessible(
    node: Collector, browser: Browser, axe: str
) -> None:
    _post(node, ec="forced", ea="stored", event_id="f" * 32)
    _post(node, ec="forced", ea="stored", event_id="f" * 32)
    node.post({"ec": "forced"})
    with browser.new_context(viewport={"width": 1280, "height": 900}, forced_colors="active") as context:
        tab = Tab(context, node.admin_port)
        for path, state in (
            ("/live", "◌ duplicate"),
            ("/now", "● Ready"),
            ("/accounts", "✓ balances"),
            ("/log/00", "● open"),
            ("/dead", "✚ "),
        ):
            page = tab.open(path)
            expect(page.locator("main")).to_contain_text(state)
            assert page.evaluate("matchMedia('(forced-colors: active)').matches")
            assert page.evaluate(_WORDLESS) == [], path
            assert violations(page, axe) == [], path
        assert tab.trouble == []
