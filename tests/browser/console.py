"""A node with a console, and a tab that looks at it in Chromium and notes what a page must never cause.

`python -m tests.browser.console FOLDER [SECONDS]` saves a picture of each view, light and dark, at three widths, after
so many seconds of traffic, to which each visitor adds those of the demo shop.
"""

import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Dialog, Page, Request, expect

from bench.processes import free_port
from tests.browser.demo import SCHEMES, walk, window
from tests.chromium import chromium
from tests.running import PATIENCE_SECONDS, Collector, eventually, running

SETTINGS = """
[server]
port = {port}
workers = {workers}
demo = "shop"
[admin]
port = ADMIN_PORT
dir = "data/console"
allow_actions = true
[[property]]
portal_id = 33167
prop_id = 564990801
id = "shop"
required = ["ea", "ec"]
dedup = "26h"
[[property]]
portal_id = 33167
prop_id = 2
id = "app"
source = "android"
[[property]]
portal_id = 33167
prop_id = 3
source = "pos"
required = ["ea", "ec", "sid"]
[[sink]]
type = "file"
dir = "data/events"
flush_seconds = 0.2
"""
WIDTHS = (1280, 360, 1920)
_POLICY = ("Content Security Policy", "TrustedHTML", "TrustedScript")

expect.set_options(timeout=PATIENCE_SECONDS * 1000)


@contextmanager
def console_node(folder: Path, settings: str = SETTINGS) -> Iterator[Collector]:
    """A collector of one worker. Its admin address keeps its port when the admin process starts again."""
    with running(folder, 1, settings.replace("ADMIN_PORT", str(free_port()))) as node:
        yield node


class Tab:
    """A tab with the console of a node."""

    def __init__(self, context: BrowserContext, port: int) -> None:
        """`port`: of the admin address."""
        self.origin = f"http://127.0.0.1:{port}"
        self.trouble: list[str] = []
        """Dialogs, errors, reports of the policy, and requests to other hosts."""
        self.page: Page = context.new_page()
        self.page.on("dialog", self._dismiss)
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("console", lambda message: self._listen(message.text))
        self.page.on("request", self._look_at)

    def open(self, path: str) -> Page:
        """Load an address, and return once its view has its data."""
        self.page.goto(self.origin + path)
        expect(self.page.locator("h1")).to_have_count(1)
        expect(self.page.locator(".skeleton")).to_have_count(0)
        return self.page

    def get(self, path: str) -> Any:
        """The JSON of an address of the API, asked by the page."""
        return self.page.evaluate("path => fetch(path).then(answer => answer.json())", path)

    def _dismiss(self, dialog: Dialog) -> None:
        self.trouble.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _listen(self, text: str) -> None:
        if any(word in text for word in _POLICY):
            self.trouble.append(text)

    def _look_at(self, request: Request) -> None:
        url = urlsplit(request.url)
        if f"{url.scheme}://{url.netloc}" != self.origin:
            self.trouble.append(request.url)


def listed(page: Page) -> list[str]:
    """The rows that the live list shows, newest first: kind, `ea` or code, `ec`, uid; `-` for none."""
    script = """[...document.querySelectorAll('.sizer [role=row]:not([hidden])')]
        .sort((one, other) => one.ariaRowIndex - other.ariaRowIndex)
        .map(row => [1, 4, 5, 6].map(at => row.children[at].textContent).join(' '))"""
    found: list[str] = page.evaluate(script)
    return [row[len("x ") :].replace("\u2013", "-") for row in found]


def ids(node: Collector) -> dict[str, str]:
    """The ids of the stored events, by their `ea`."""
    return {record["event"]["ea"]: record["id"] for record in node.stored()}


_ACTIONS = (("view", "product"), ("view", "product"), ("impression", "list"), ("add", "cart"), ("search", "site"))
_TRACK = b"""{"type": "track", "event": "Order Completed", "userId": "u-8812", "context": {"ip": "203.0.113.7"},
    "properties": {"order_id": "9912", "total": 129.0, "products": [{"product_id": "864115", "quantity": 1}]}}"""


@contextmanager
def _traffic(node: Collector) -> Iterator[None]:
    """Rows of each kind until the end."""
    is_over = threading.Event()

    def send() -> None:
        chance = random.Random(19)
        while not is_over.wait(0.2 + chance.random()):
            _have_rows(node, chance)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _have_rows(node: Collector, chance: random.Random) -> None:
    for number in range(chance.randrange(4, 9)):
        ea, ec = chance.choice(_ACTIONS)
        event = {"ea": ea, "ec": ec, "uid": f"u-{chance.randrange(8800, 8900)}", "event_id": chance.randbytes(8).hex()}
        if number == 5 and chance.random() < 0.3:
            node.post(event)  # and once more below, which makes it a duplicate
        node.post(event if chance.random() < 0.97 else {"ec": ec, "uid": event["uid"]})
    node.send("POST", "/v1/track?writeKey=app", _TRACK, content_type="application/json")
    if chance.random() < 0.2:
        node.send("GET", "/event?portal_id=33167&prop_id=9&ea=view&ec=page")


def open_views(tab: Tab, ea: str) -> Iterator[str]:
    """Open each view and use it, so that there is something to see; yields its name. `ea`: of an event to show."""
    tab.open("/")
    event = tab.get(f"/api/search?kind=stored&ea={ea}")["rows"][0][1]
    eventually(lambda: tab.get("/api/dead?limit=1")["letters"], "a bad event came")
    letter = tab.get("/api/dead?limit=1")["letters"][0]["id"]
    segment = tab.get("/api/shards/00/segments?limit=1")["segments"][0]["number"]
    paths = {
        "live": "/",
        "live-event": f"/live?event={event}",
        "event": f"/event/{event}",
        "now": "/now",
        "accounts": "/accounts",
        "log": "/log/00",
        "segment": f"/log/00/{segment}",
        "dead": "/dead",
        "letter": f"/dead/{letter}",
        "replay": "/replay",
        "try": "/try?property=33167/564990801",
    }
    for view, path in paths.items():
        page = tab.open(path)
        expect(page.locator(".health")).to_contain_text("ready")
        _use(page, view)
        yield view


def _use(page: Page, view: str) -> None:
    if view == "replay":
        page.get_by_role("combobox", name="sink").select_option("file")
        page.get_by_role("button", name="Dry run").click()
        expect(page.get_by_role("button", name="Replay")).to_be_visible()
    elif view == "try":
        page.get_by_role("button", name="Send a real event").click()
        expect(page.locator(".json")).not_to_have_count(0)
        expect(page.locator(".skeleton")).to_have_count(0)
    elif view == "dead":
        page.get_by_role("button", name="Preview redrive").click()
        expect(page.get_by_text("would pass now")).to_be_visible()


def _save_pictures(folder: Path, seconds: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as place, console_node(Path(place)) as node, chromium() as browser, _traffic(node):
        time.sleep(seconds)
        for width in WIDTHS:
            for scheme in SCHEMES:
                with window(browser, width, scheme) as context:
                    assert list(walk(context.new_page(), node, "granted"))
                    tab = Tab(context, node.admin_port)
                    for view in open_views(tab, "purchase"):
                        tab.page.wait_for_timeout(1500)  # for the first line about the rates
                        tab.page.screenshot(
                            path=folder / f"{view}-{width}-{scheme}.png", full_page=not view.startswith("live")
                        )


if __name__ == "__main__":
    _save_pictures(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0)
