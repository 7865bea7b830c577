"""The console's page in headless Chromium, with answers that a test gives instead of a collector's."""

import json
import time
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Dialog, Page, Route

from tests.collector.ops.console.page.test_page_source import PAGE

ORIGIN = "http://127.0.0.1:9"
"""Nothing listens there: every request is answered by the test."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
SESSION = {"needs_token": False, "logged_in": False, "actions": True, "redacted": [], "node": "n1", "version": "1"}
NODE = {
    "event_url": "http://127.0.0.1:8080/event",
    "kept_hours": 24,
    "properties": [{"property": "1/2", "id": "shop", "source": "web"}],
    "more_properties": 0,
    "dialects": [{"name": "event", "types": ["json"]}],
    "sinks": ["file"],
}
STREAM = """
window.streams = [];
window.EventSource = class extends EventTarget {
    constructor(url) {
        super();
        this.url = new URL(url, location).href;
        streams.push(this);
    }
    close() {}
    say(name, data, id = "") {
        this.dispatchEvent(new MessageEvent(name, {data, lastEventId: id}));
    }
};
"""
"""Streams on which a test speaks."""


class Console:
    """One tab with the page. `answers` has the body by path, or a status and a body."""

    def __init__(self, browser: Browser, **options: Any) -> None:
        self.page: Page = browser.new_page(**options)
        self.answers: dict[str, Any] = {"/api/session": SESSION, "/api/node": NODE}
        self.trouble: list[str] = []
        """What a page must never cause: reports, dialogs, requests to other hosts."""
        self.page.add_init_script(STREAM)
        self.page.route("**/*", self._answer)
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("dialog", self._dismiss)
        self.page.on("console", lambda message: self._listen(message.text))

    def open(self, path: str) -> None:
        """Load the page at an address, and greet its stream."""
        self.page.goto(ORIGIN + path)
        self.queries(1)
        self.greet()

    def greet(self, ahead_ms: int = 0) -> None:
        """Begin the newest stream of a node whose clock is ahead of the browser's."""
        now_ms = int(time.time() * 1000) + ahead_ms
        greeting = {"boot": "b", "now_ms": now_ms, "ring": {"first": 1, "last": 0}, "limits": {}} | SESSION
        self.say("hello", greeting)

    def queries(self, streams: int) -> list[str]:
        """The queries of the streams that the page opened, once there are so many."""
        script = """async wanted => {
            while (streams.length < wanted) await new Promise(requestAnimationFrame);
            return streams.map(each => new URL(each.url).search);
        }"""
        found: list[str] = self.page.evaluate(script, streams)
        return found

    def say(self, name: str, data: object, event_id: str = "") -> None:
        """Send a message of the stream."""
        self.page.evaluate(
            "([name, data, id]) => streams.at(-1).say(name, data, id)", [name, json.dumps(data), event_id]
        )

    def _dismiss(self, dialog: Dialog) -> None:
        self.trouble.append(dialog.message)
        dialog.dismiss()

    def _listen(self, text: str) -> None:
        if "Content Security Policy" in text or "TrustedHTML" in text:
            self.trouble.append(text)

    def _answer(self, route: Route) -> None:
        url = urlsplit(route.request.url)
        if f"{url.scheme}://{url.netloc}" != ORIGIN:
            self.trouble.append(route.request.url)
            route.abort()
        elif url.path.startswith("/api/"):
            self._answer_api(route, url.path)
        elif url.path.startswith("/assets/"):
            path = PAGE / url.path.removeprefix("/assets/")
            route.fulfill(path=path, content_type=_TYPES[path.suffix])
        else:
            headers = {"content-security-policy": POLICY, "content-type": "text/html; charset=utf-8"}
            route.fulfill(path=PAGE / "index.html", headers=headers)

    def _answer_api(self, route: Route, path: str) -> None:
        missing = (404, {"code": "not_found", "message": f"the test has no answer for {path}"})
        answer = self.answers.get(path, missing)
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        route.fulfill(status=status, content_type="application/json", body=json.dumps(body))
