"""The console in real headless Chromium: the log-in, and pages of others that try to use or to read it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.demo import IN_CHROMIUM
from tests.chromium import chromium
from tests.running import Collector, running

pytestmark = IN_CHROMIUM
_TOKEN = "a-token-that-is-long-enough"
_SETTINGS = """
[server]
port = {port}
workers = {workers}
[admin]
port = 0
token = "env:TRACKLOG_TEST_ADMIN"
allow_actions = true
[[property]]
portal_id = 33167
prop_id = 1
[[sink]]
type = "file"
dir = "data/events"
"""
_ATTACKS = """async admin => {
    const event = JSON.stringify({property: '33167/1', body: '{"ea":"a","ec":"b","sid":1,"aid":"a","uid":"u"}'});
    const json = {'content-type': 'application/json'};
    const told = promise => promise.then(answer => answer.status, () => 'refused');
    const loaded = (kind, attributes) => new Promise(done => {
        const element = Object.assign(document.createElement(kind), attributes);
        element.onload = () => done('loaded');
        element.onerror = () => done('refused');
        document.body.append(element);
    });
    const form = action => new Promise(done => {
        const frame = Object.assign(document.createElement('iframe'), {name: 'target', onload: () => done('sent')});
        document.body.append(frame);
        const form = Object.assign(document.createElement('form'), {method: 'post', enctype: 'text/plain', action});
        const field = Object.assign(document.createElement('input'), {name: event, value: ''});
        form.target = 'target';
        form.append(field);
        document.body.append(form);
        form.submit();
    });
    const stream = url => new Promise(done => {
        const source = new EventSource(url, {withCredentials: true});
        source.onopen = () => done('loaded');
        source.onerror = () => (source.close(), done('refused'));
    });
    const all = {credentials: 'include'};
    const found = {
        read: await told(fetch(`${admin}/api/session`, all)),
        status: await told(fetch(`${admin}/status`, all)),
        post: await told(fetch(`${admin}/api/try`, {...all, method: 'POST', headers: json, body: event})),
        end: await told(fetch(`${admin}/api/session`, {...all, method: 'DELETE'})),
        script: await loaded('script', {src: `${admin}/status`}),
        image: await loaded('img', {src: `${admin}/api/session`}),
        module: await import(`${admin}/api/session`).then(() => 'loaded', () => 'refused'),
        stream: await stream(`${admin}/api/stream`),
    };
    await told(fetch(`${admin}/api/try`, {...all, method: 'POST', mode: 'no-cors', body: event}));
    await form(`${admin}/api/try`);
    return found;
}"""


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>another page</title><body>another page</body>")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _other_page() -> Iterator[int]:
    """A page on another port; yields the port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """One worker, and an admin process whose token is needed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRACKLOG_TEST_ADMIN", _TOKEN)
        with running(tmp_path_factory.mktemp("console"), 1, _SETTINGS) as collector:
            yield collector


@pytest.fixture(scope="module")
def context() -> Iterator[BrowserContext]:
    """A browser in which the name evil.example leads to this machine, as after DNS rebinding."""
    rebound = "--host-resolver-rules=MAP evil.example 127.0.0.1, MAP 127.0.0.1.evil.example 127.0.0.1"
    with chromium(rebound) as browser:
        yield browser.new_context()


def _console(context: BrowserContext, collector: Collector) -> tuple[Page, list[str]]:
    """The console in a tab, and what its policy has forbidden."""
    page, violations = context.new_page(), list[str]()
    page.on("console", lambda told: violations.append(told.text) if "Content Security Policy" in told.text else None)
    page.goto(f"http://127.0.0.1:{collector.admin_port}/now")
    return page, violations


def _log_in(page: Page, token: str) -> None:
    page.get_by_label("token").fill(token)
    page.get_by_role("button", name="Log in").click()


def test_a_person_logs_in_and_out(collector: Collector, context: BrowserContext) -> None:
    context.clear_cookies()
    page, violations = _console(context, collector)
    _log_in(page, "not the token of this node")
    expect(page.get_by_text("this is not the token of admin.token")).to_be_visible()
    _log_in(page, _TOKEN)
    expect(page.get_by_role("navigation").first).to_be_visible()
    (cookie,) = context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["secure"]) == (True, "Strict", False)
    page.reload()
    expect(page.get_by_role("navigation").first).to_be_visible()
    assert page.evaluate("document.cookie") == ""
    other, _ = _console(context, collector)
    expect(other.locator(".health")).to_contain_text("ready")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("token")).to_be_visible()
    expect(other.get_by_label("token"), "the stream of the other tab has ended").to_be_visible()
    other.close()
    assert context.cookies() == []
    assert violations == []


def test_a_page_of_another_port_reads_nothing_and_does_nothing(collector: Collector, context: BrowserContext) -> None:
    context.clear_cookies()
    page, _ = _console(context, collector)
    _log_in(page, _TOKEN)
    expect(page.get_by_role("navigation").first).to_be_visible()
    admin = f"http://127.0.0.1:{collector.admin_port}"
    with _other_page() as port:
        other = context.new_page()
        other.goto(f"http://127.0.0.1:{port}/")
        assert set(other.evaluate(_ATTACKS, admin).values()) == {"refused"}
        other.evaluate("url => window.frames.target.location = url", f"{admin}/live")
        expect(other.frame_locator("iframe").get_by_text("Tracklog")).to_have_count(0)
        other.close()
    assert collector.stored() == []
    assert "console_action" not in collector.stderr
    page.reload()
    expect(page.get_by_role("navigation").first).to_be_visible()


@pytest.mark.parametrize("name", ["evil.example", "127.0.0.1.evil.example"])
def test_a_name_that_leads_here_is_refused(collector: Collector, context: BrowserContext, name: str) -> None:
    page = context.new_page()
    for path in ("/live", "/api/session", "/status"):
        response = page.goto(f"http://{name}:{collector.admin_port}{path}")
        assert response is not None
        assert response.status == 421
        assert "admin.hosts" in page.inner_text("body")
