"""A page for each program of a browser SDK, on another origin than the collector, and a visit to it in Chromium."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Browser, ConsoleMessage, Page, Request

from tests.clients.installed import bundle
from tests.clients.sdks import Sdk

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Television</title><link rel="icon" href="data:,"></head>
<body><h1>Television</h1><script type="module" src="/{name}.js"></script></body></html>"""
_ABSENT = ("/flags/", "/array/", "/static/")
"""Paths of PostHog's pages whose 404 the SDK takes: there are no flags, no remote settings and no further scripts."""
_CUT_BY_LEAVING = ": net::ERR_ABORTED"
"""The end of the error of a request that is on its way when the page is left, such as a ping by the clock."""
_LEAST_STEPS = 12
_MOST_STEPS = 160
NOT_AUTOMATED = "--disable-blink-features=AutomationControlled"
"""An argument of the browser: PostHog takes one that is automated for a bot, and sends nothing."""


@contextmanager
def pages(folder: Path) -> Iterator[str]:
    """The origin of the pages, whose bundles are made into `folder`."""
    bundle(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Pages, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def visit(browser: Browser, origin: str, sdk: Sdk, host: str, is_done: Callable[[], bool] = lambda: True) -> list[str]:
    """Load the page of an SDK, move about on it until `is_done`, and leave it.

    Returns every error that the SDK or the browser told.
    """
    errors: list[str] = []
    with browser.new_context(user_agent=_user_agent(browser)) as context:
        page = context.new_page()
        _listen(page, errors)
        query = urlencode({"host": host, "key": sdk.key} | ({"mode": sdk.mode} if sdk.mode else {}))
        page.goto(f"{origin}/{Path(sdk.program).stem}?{query}")
        page.wait_for_function("window.report")
        _move(page, is_done)
        errors += page.evaluate("window.report.errors")
        before = set(errors)
        page.goto(f"{origin}/bye")
    return [error for error in errors if error in before or not error.endswith(_CUT_BY_LEAVING)]


def _user_agent(browser: Browser) -> str:
    """That of a browser that somebody looks at: PostHog drops the events of a headless one."""
    return (
        f"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{browser.version} Safari/537.36"
    )


def _move(page: Page, is_done: Callable[[], bool]) -> None:
    """Stay until the SDK has sent what it gathers, with a visitor who moves the mouse."""
    for step in range(_MOST_STEPS):
        page.mouse.move(100 + step, 100)
        page.wait_for_timeout(250)
        if step >= _LEAST_STEPS and is_done():
            return


def _listen(page: Page, errors: list[str]) -> None:
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.extend(_told(message)))
    answered: set[Request] = set()
    page.on("response", lambda response: answered.add(response.request))
    # the browser ends an answer that the SDK never reads when the page is left
    page.on("requestfailed", lambda request: errors.extend([] if request in answered else _broken(request)))


def _told(message: ConsoleMessage) -> list[str]:
    is_absent = any(path in message.location["url"] + message.text for path in _ABSENT)
    return [message.text] if message.type in ("error", "warning") and not is_absent else []


def _broken(request: Request) -> list[str]:
    is_absent = any(path in request.url for path in _ABSENT)
    return [] if is_absent else [f"{request.method} {request.url}: {request.failure}"]


class _Pages(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.endswith(".js"):
            super().do_GET()
            return
        name = self.path.partition("?")[0].strip("/")
        body = _PAGE.format(name=name).encode() if name != "bye" else b"<title>bye</title>"
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class has it
        """Tests say what went wrong themselves."""
