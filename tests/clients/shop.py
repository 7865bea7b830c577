"""Pages at https://shop.example.com, in Chromium. They send to https://c.example.com, which is a test's collector."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Route

from tests.clients.installed import MODULES
from tests.running import PROGRAMS, Collector, running

RECIPES = Path(__file__).parent / "recipes"
TRACKER = Path(__file__).parents[2] / "collector/web/dist/tracklog.mjs"
_NODE = "https://c.example.com"
_PAGE = "<!doctype html><title>Shop</title><link rel=icon href=data:,>{head}<body>{body}"
_SETTINGS = """
[server]
port = {port}
workers = {workers}
""" + "".join(
    f"""
[[property]]
portal_id = 33167
prop_id = {prop_id}
id = "{name}"
origins = ["https://shop.example.com"]
required = ["ea", "ec"]
dedup = "26h"
"""
    for prop_id, name in enumerate(("shop", "brand"), start=1)
)


@contextmanager
def shop_collector(folder: Path) -> Iterator[Collector]:
    """A collector with two properties, `shop` and `brand`, for pages of the shop."""
    with running(folder, 1, _SETTINGS) as collector:
        yield collector


def tags(collector: Collector) -> str:
    """The tags for the head of a page of the property `shop`, as the command prints them."""
    command = [str(PROGRAMS / "collector"), "snippet", "--config", str(collector.folder / "collector.toml")]
    done = subprocess.run([*command, "--property", "shop", "--url", _NODE], check=True, capture_output=True, text=True)
    return done.stdout


@contextmanager
def shop_page(browser: Browser, collector: Collector, body: str, head: str = "") -> Iterator[tuple[Page, list[str]]]:
    """A page of the shop, and the errors that it tells. Its requests to the node reach the collector."""
    errors: list[str] = []

    def answer(route: Route) -> None:
        route.fulfill(body=_PAGE.format(head=head, body=body), content_type="text/html")

    def forward(route: Route) -> None:
        address = route.request.url.replace(_NODE, f"http://127.0.0.1:{collector.port}")
        route.fulfill(response=route.fetch(url=address))

    with browser.new_context() as context:
        context.route("https://shop.example.com/**", answer)
        context.route(f"{_NODE}/**", forward)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto("https://shop.example.com/?utm_source=mail&gclid=g-1")
        yield page, errors
        context.unroute_all(behavior="ignoreErrors")  # the page may be about to send


def bundle(program: Path) -> str:
    """A program with all that it imports, as one script."""
    command = [str(MODULES / ".bin/esbuild"), str(program), "--bundle", "--format=iife", "--jsx=automatic"]
    command += [f"--alias:tracklog={TRACKER}", "--log-level=error", '--define:process.env.NODE_ENV="development"']
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def run_on_a_server(program: Path, folder: Path) -> Any:
    """What a program prints in Node.js, as JSON. The tracker is a package in `folder`."""
    package = folder / "node_modules/tracklog"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"name": "tracklog", "type": "module", "main": "tracklog.mjs"}')
    (package / "tracklog.mjs").write_bytes(TRACKER.read_bytes())
    (folder / program.name).write_bytes(program.read_bytes())
    done = subprocess.run(
        ["node", str(folder / program.name)], check=True, capture_output=True, text=True, env=dict(os.environ)
    )
    return json.loads(done.stdout)
