"""Live, of a real node, in real Chromium: events as they arrive, filters, pause, links, and one event whole."""

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.console import Tab, console_node, ids, listed
from tests.browser.demo import IN_CHROMIUM
from tests.running import Collector, eventually

pytestmark = IN_CHROMIUM
_ORDER = {"type": "track", "event": "Order Completed", "userId": "u-2", "properties": {"coupon": "SPRING"}}
_STORED = "stored view product u-1"
_APP = "stored Order Completed track u-2"
_DEAD = "dead invalid_event - u-17"
_REJECTED = "rejected not_found - -"
_DUPLICATE = "duplicate duplicate - -"
_CUT_ROWS = """[...document.querySelectorAll('.list [role=row]')]
    .filter(row => row.scrollWidth > row.clientWidth).length"""
_HIDDEN_MS = 10_000
_SET_HIDDEN = """isHidden => {
    Object.defineProperty(document, 'hidden', {value: isHidden, configurable: true});
    document.dispatchEvent(new Event('visibilitychange'));
}"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """With one row of each kind, so that each test knows which others it sees."""
    with console_node(tmp_path_factory.mktemp("console")) as node:
        event = {"ea": "view", "ec": "product", "uid": "u-1", "event_id": "a" * 32}
        assert node.post(event).status == node.post(event).status == 200
        assert node.post({"ec": "product", "uid": "u-17"}).status == 400
        assert node.send("POST", "/event?portal_id=33167&prop_id=9", b"{}").status == 404
        order = json.dumps(_ORDER).encode()
        assert node.send("POST", "/v1/track?writeKey=app", order, content_type="application/json").status == 200
        yield node


def _shows(page: Page, rows: list[str]) -> None:
    """Wait until the list shows these rows and no others, in any order: some came within a millisecond."""
    eventually(lambda: sorted(listed(page)) == sorted(rows), f"the list shows {rows}, and not {listed(page)}")


def _post(node: Collector, **fields: Any) -> None:
    assert node.post({"ea": "view", "ec": "product", "uid": "u-9", **fields}).status == 200


def _row(page: Page, text: str) -> Locator:
    return page.locator(".sizer [role=row]:visible", has_text=text)


def test_an_event_appears_as_it_arrives(node: Collector, tab: Tab) -> None:
    page = tab.open("/")
    _post(node, ea="arrives")
    expect(_row(page, "arrives")).to_contain_text("stored")
    assert listed(page)[0] == "stored arrives product u-9"
    expect(page.locator(".coverage")).to_contain_text("all shown")


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ({"kind": "stored", "uid": "u-1"}, [_STORED]),
        ({"kind": "dead"}, [_DEAD]),
        ({"kind": "rejected"}, [_REJECTED]),
        ({"kind": "duplicate"}, [_DUPLICATE]),
        ({"property": "33167/9"}, [_REJECTED]),
        ({"source": "android"}, [_APP]),
        ({"dialect": "segment"}, [_APP]),
        ({"ea": "Order Completed"}, [_APP]),
        ({"ec": "track"}, [_APP]),
        ({"uid": "u-17"}, [_DEAD]),
        ({"q": "SPRING"}, [_APP]),
        ({"ec": "track", "kind": "dead"}, []),
    ],
    ids=str,
)
def test_a_filter_shows_what_matches_and_stands_in_the_address(
    tab: Tab, query: dict[str, str], rows: list[str]
) -> None:
    page = tab.open("/")
    for name, value in query.items():
        box = page.locator(f".filters [name={name}]")
        if name in ("kind", "source", "dialect"):
            box.select_option(value)
        else:
            box.fill(value)
        expect(page).to_have_url(re.compile(rf"[?&]{name}="))
    if rows:
        _shows(page, rows)
    else:
        expect(page.get_by_text("match.")).to_be_visible()
    page.reload()
    expect(page.locator(".skeleton")).to_have_count(0)
    _shows(page, rows)


def test_while_paused_by_a_key_rows_are_counted_and_going_on_shows_them(node: Collector, tab: Tab) -> None:
    page = tab.open("/live?ec=pause")
    _post(node, ec="pause", ea="before")
    _shows(page, ["stored before pause u-9"])
    page.keyboard.press("p")
    for number in range(3):
        _post(node, ec="pause", ea=f"while-{number}")
    expect(page.get_by_role("button", name="3 new while paused")).to_be_visible()
    _shows(page, ["stored before pause u-9"])
    page.keyboard.press("p")
    expect(_row(page, "while-2")).to_be_visible()
    assert [row.split()[1] for row in listed(page)] == ["while-2", "while-1", "while-0", "before"]


def test_an_open_event_pauses_the_list_and_has_a_link_of_its_own(node: Collector, tab: Tab) -> None:
    page = tab.open("/live?ec=opened")
    _post(node, ec="opened", ea="first")
    _row(page, "first").click()
    panel = page.get_by_role("complementary", name="Event")
    event_id = panel.locator("h2").inner_text()
    assert page.evaluate(_CUT_ROWS) == 0
    _post(node, ec="opened", ea="second")
    expect(page.get_by_role("button", name="1 new while paused")).to_be_visible()
    panel.get_by_role("link", name="whole page").click()
    expect(page).to_have_url(f"{tab.origin}/event/{event_id}")
    expect(page.locator("main .json").first).to_contain_text("first")
    page.reload()
    expect(page.locator("main .json").first).to_contain_text("first")
    page.go_back()
    expect(panel.locator("h2")).to_have_text(event_id)
    page.go_back()
    expect(panel).to_have_count(0)
    assert page.url.endswith("/live?ec=opened")
    expect(_row(page, "second")).to_be_visible()


def test_an_event_tells_its_place_and_what_the_sink_did(node: Collector, tab: Tab) -> None:
    _post(node, ea="delivered")
    eventually(lambda: "delivered" in json.dumps(node.shipped()), "the event is shipped")
    event_id = ids(node)["delivered"]
    page = tab.open(f"/event/{event_id}")
    sequence = event_id.partition("-")[2]
    for heading, text in (
        ("Record", f"shard 00, segment \\d+.*sequence{sequence}committed"),
        ("Sinks", "file.*delivered"),
    ):
        expect(page.locator("section", has=page.get_by_role("heading", name=heading))).to_have_text(re.compile(text))


def test_the_curl_of_an_event_sends_the_same_event_again(node: Collector, tab: Tab) -> None:
    _post(node, ea="again", ec="it's `id` $(id) \\ \u202e ü 漢 \U0001f600", items=[{"id": 12345678901234567890}])
    page = tab.open(f"/event/{ids(node)['again']}")
    page.get_by_role("button", name="copy as curl").click()
    expect(page.get_by_role("button", name="copy as curl")).to_have_text("copied")
    command = page.evaluate("navigator.clipboard.readText()")
    assert command.isascii()
    assert command.isprintable()
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    first, second = [record["event"] for record in node.stored() if record["event"]["ea"] == "again"]
    assert first == second


def test_six_hidden_tabs_leave_a_connection_to_the_seventh_and_catch_up_when_shown(
    node: Collector, context: BrowserContext
) -> None:
    """A browser opens six connections to a host, and the stream of each tab takes one."""
    tabs = [Tab(context, node.admin_port) for _ in range(6)]
    for tab in tabs:
        tab.page.clock.install()
        tab.open("/live?ec=hidden")
        expect(tab.page.locator(".coverage")).to_have_text("listening")
        tab.page.evaluate(_SET_HIDDEN, True)
        tab.page.clock.fast_forward(_HIDDEN_MS)
    seventh = Tab(context, node.admin_port).open("/live?ec=hidden")
    _post(node, ec="hidden", ea="meanwhile")
    expect(_row(seventh, "meanwhile")).to_be_visible()
    tabs[0].page.evaluate(_SET_HIDDEN, False)
    expect(_row(tabs[0].page, "meanwhile")).to_be_visible()
