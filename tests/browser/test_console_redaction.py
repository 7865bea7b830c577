"""The console of a real node with a token and `admin.redact`, in real Chromium: where hidden values may not be."""

import json
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.console import SETTINGS, Tab, console_node
from tests.browser.demo import IN_CHROMIUM
from tests.browser.recorder import Recorder, recording
from tests.running import Collector

pytestmark = IN_CHROMIUM
_TOKEN = "a-token-that-is-long-enough"
_UID, _EMAIL, _IP = "uid-8d1f4c", "ada-77ab@example.com", "203.0.113.77"
_HIDDEN = (_UID, _EMAIL, _IP)
_REDACT = """
[admin]
token = "env:TRACKLOG_TEST_ADMIN"
redact = ["uid", "ip", "event.dims.users.email", "client_id", "au_id", "user_agent"]
"""
_DIMS = {"users": {"email": _EMAIL}}
_SENDER = {"x_forwarded_for": _IP, "user_agent": f"agent of {_UID}"}
_TRACK = {"type": "track", "event": "Order Completed", "userId": _UID, "context": {"ip": _IP}}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    settings = SETTINGS.replace("\n[admin]\n", _REDACT).replace('demo = "shop"', 'trusted_proxies = ["127.0.0.0/8"]')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRACKLOG_TEST_ADMIN", _TOKEN)
        with console_node(tmp_path_factory.mktemp("console"), settings) as node:
            event = {"ea": "view", "ec": "product", "uid": _UID, "dims": _DIMS, "event_id": "f" * 32}
            for each in (event, event, {**event, "ea": None}, {**event, "uid": [_UID], "dims": [_EMAIL]}):
                node.post(each, **_SENDER)
            node.post(f'{{"uid": "{_UID}", "email": {_EMAIL}'.encode(), **_SENDER)
            node.post(f"\udcff {_UID} {_EMAIL} {_IP}".encode("utf-8", "surrogateescape"), **_SENDER)
            track = json.dumps(_TRACK).encode()
            node.send("POST", "/v1/track?writeKey=app", track, content_type="application/json", **_SENDER)
            node.send("POST", "/v1/track?writeKey=app", track[:-1], content_type="application/json", **_SENDER)
            node.send("GET", f"/event?portal_id=33167&prop_id=3&ea=view&uid={_UID}", b"", **_SENDER)
            node.send("GET", f"/event?portal_id=33167&prop_id=9&ea=view&uid={_UID}", b"", **_SENDER)
            assert _UID in json.dumps([*node.stored(), *node.dead()])
            yield node


@pytest.fixture
def recorder(node: Collector) -> Iterator[Recorder]:
    with recording(node.admin_port) as recorder:
        yield recorder


def test_what_is_hidden_is_in_no_byte_that_leaves_the_port(
    node: Collector, context: BrowserContext, recorder: Recorder
) -> None:
    tab = Tab(context, recorder.port)
    page = tab.page
    page.goto(f"{tab.origin}/live")
    page.get_by_label("token").fill(_TOKEN)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator(".sizer [role=row]:visible")).to_have_count(10)
    expect(page.locator(".filters [name=uid]")).to_be_disabled()
    rows = tab.get("/api/search?limit=100")["rows"]
    kept = [(("dead" if row[3] == "dead" else "event"), row[1]) for row in rows if row[1]]
    assert len(kept) == len(node.stored()) + len(node.dead())
    for kind, each in kept:
        tab.open(f"/{kind}/{each}")
        page.evaluate("path => fetch(path).then(answer => answer.text())", f"/api/{kind}/{each}/raw")
    for view in ("/now", "/accounts", "/log", "/dead", "/replay", "/try"):
        tab.open(view)
    for path in (f"/api/search?q={_UID}", f"/api/search?q={_EMAIL}"):
        assert tab.get(path)["rows"] == []
    page = tab.open("/dead")
    page.get_by_role("button", name="Preview redrive").click()
    expect(page.get_by_text("still refused").first).to_be_visible()
    page.evaluate("Promise.all(['/metrics', '/status'].map(path => fetch(path).then(answer => answer.text())))")
    sent = bytes(recorder.sent)
    assert sent.count("▒▒▒▒".encode()) > 10
    assert [form for value in _HIDDEN for form in _forms(value) if form in sent] == []
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("token")).to_be_visible()
    assert tab.trouble == []


def _forms(value: str) -> list[bytes]:
    """The value as text, in a query, and in base64 after any number of bytes."""
    shifted = [b64encode(b"." * by + value.encode())[4:-4] for by in range(3)]
    return [value.encode(), quote(value).encode(), *shifted]
