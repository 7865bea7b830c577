"""A page on one origin and a collector on another, in this process, so that the collector's clock can be moved."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, cast

import uvicorn

from bench.processes import free_port, is_connectable
from collector.app import create_app
from collector.http.connection import Connection
from collector.http.tls import TlsConnection
from collector.server.tls import load_certificate
from collector.settings import load_settings
from tests.browser.proxy import Certificate, make_certificate, tls_proxy
from tests.running import eventually, read_log
from wal.log import now_ms

Tls = Literal["none", "own", "trusted proxy", "unknown proxy"]
"""Who ends TLS: nobody, the collector, or a proxy that it believes or does not."""

_SETTINGS = """
[server]
workers = 1
trusted_proxies = [{trusted}]
[[property]]
portal_id = 33167
prop_id = 1
origins = ["{origin}"]
redirect_hosts = ["127.0.0.1"]
"""
_PAGE = b"<!doctype html><html><head><link rel=icon href='data:,'><title>shop</title></head><body>shop</body></html>"


class Clock:
    """The time of day, and how far a test has moved it."""

    def __init__(self) -> None:
        self.minutes = 0

    def __call__(self) -> int:
        """Unix milliseconds."""
        return now_ms() + self.minutes * 60_000


class Site:
    """Where the page is, where the collector is, and what that has stored."""

    def __init__(self, folder: Path, page: str, collector: str, clock: Clock) -> None:
        self.page = page
        self.collector = collector
        self.clock = clock
        self._folder = folder

    def event(self, face: str, **more: str) -> str:
        """The URL of an event in a query."""
        pairs = {"portal_id": "33167", "prop_id": "1", "resp_type": face, **more}
        return f"{self.collector}/event?" + "&".join(f"{name}={value}" for name, value in pairs.items())

    def stored(self) -> list[dict[str, Any]]:
        """Every record, in the order of the log."""
        return read_log(self._folder / "data/log")

    def hits(self) -> list[int]:
        """The number of each stored hit in its session."""
        return [record["session"]["hits"] for record in self.stored()]


@contextmanager
def site(folder: Path, tls: Tls = "none") -> Iterator[Site]:
    """A page and a collector; with TLS the collector is on another site too, localhost instead of 127.0.0.1."""
    pages = ThreadingHTTPServer(("127.0.0.1", 0), _Pages)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    page = f"http://127.0.0.1:{pages.server_port}"
    clock = Clock()
    try:
        with _collector(folder, page, clock, tls) as address:
            yield Site(folder, page, address, clock)
    finally:
        pages.shutdown()
        pages.server_close()


@contextmanager
def _collector(folder: Path, page: str, clock: Clock, tls: Tls) -> Iterator[str]:
    path = folder / "collector.toml"
    path.write_text(_SETTINGS.format(origin=page, trusted='"127.0.0.0/8"' if tls == "trusted proxy" else ""))
    if tls == "none":
        with _serving(path, clock) as port:
            yield f"http://127.0.0.1:{port}"
        return
    certificate = make_certificate(folder)
    if tls == "own":
        with _serving(path, clock, certificate) as port:
            yield f"https://localhost:{port}"
    else:
        with _serving(path, clock) as port, tls_proxy(port, certificate) as address:
            yield address


@contextmanager
def _serving(settings: Path, clock: Clock, certificate: Certificate | None = None) -> Iterator[int]:
    """The port of a collector in a thread of this process."""
    port = free_port()
    config = uvicorn.Config(
        partial(create_app, load_settings(str(settings)), clock),
        factory=True,
        port=port,
        http=_protocol(certificate) if certificate else Connection,
        ws="none",
        lifespan="on",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        eventually(lambda: is_connectable(port), "the collector listens")
        yield port
    finally:
        server.should_exit = True
        thread.join()


def _protocol(certificate: Certificate) -> type[asyncio.Protocol]:
    context = load_certificate(*certificate).context
    return cast(type[asyncio.Protocol], partial(TlsConnection, lambda: context))


class _Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(_PAGE)))
        self.end_headers()
        self.wfile.write(_PAGE)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class has it
        """Tests say what went wrong themselves."""
