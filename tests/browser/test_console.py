"""Live, of a real node, in real Chromium: events as they arrive, filters, pause, links, and what hostile senders try."""

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.console import Tab, console_node, listed
from tests.browser.demo import CHROMIUM, chromium
from tests.running import Collector, eventually

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed; on Debian: apt-get install chromium"
)
_ORDER = {"type": "track", "event": "Order Completed", "userId": "u-2", "properties": {"coupon": "SPRING"}}
_STORED = "stored view product u-1"
_APP = "stored Order Completed track u-2"
_DEAD = "dead invalid_event – u-17"
_REJECTED = "rejected not_found – –"
_DUPLICATE = "duplicate duplicate – –"
_ROWS = [_DEAD, _REJECTED, _DUPLICATE, _APP, _STORED]
_SCRIPT = "<img src=x onerror=alert(1)>'\"`</script><script>alert(2)</script>javascript:alert(3)${7*7}//evil.example/x"
_UNSEEN = "a\u202eb\u2066c\u200bd\ufeffe\x00f"
_CHIPS = ["\\u202e", "\\u2066", "\\u200b", "\\ufeff", "\\0"]


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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        yield context


@pytest.fixture
def tab(node: Collector, context: BrowserContext) -> Iterator[Tab]:
    tab = Tab(context, node.admin_port)
    yield tab
    assert tab.trouble == []


def _rows(page: Page) -> list[str]:
    """The rows without their shapes."""
    return [row.split(" ", 1)[1] for row in listed(page)]


def _shows(page: Page, rows: list[str]) -> None:
    """Wait until the list shows these rows and no others, in any order: some came within a millisecond."""
    eventually(lambda: sorted(_rows(page)) == sorted(rows), f"the list shows {rows}, and not {_rows(page)}")


def _post(node: Collector, **fields: Any) -> None:
    assert node.post({"ea": "view", "ec": "product", "uid": "u-9", **fields}).status == 200


def _row(page: Page, text: str) -> Any:
    return page.locator(".sizer [role=row]:visible", has_text=text)


def test_an_event_appears_as_it_arrives(node: Collector, tab: Tab) -> None:
    page = tab.open("/")
    _post(node, ea="arrives")
    expect(_row(page, "arrives")).to_contain_text("stored")
    assert _rows(page)[0] == "stored arrives product u-9"
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
