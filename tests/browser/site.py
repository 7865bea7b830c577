"""A page on one origin and a collector on another, in this process, so that the collector's clock can be moved."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import uvicorn

from collector.app import create_app
from collector.config import load_settings
from collector.ingest.connection import Connection
from tests.running import eventually, free_port, is_connectable, read_log
from wal.log import now_ms

_SETTINGS = """
[server]
workers = 1
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
def site(folder: Path, *, is_https: bool = False) -> Iterator[Site]:
    """A page and a collector; over HTTPS the collector is on another site too, localhost instead of 127.0.0.1."""
    pages = ThreadingHTTPServer(("127.0.0.1", 0), _Pages)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    page = f"http://127.0.0.1:{pages.server_port}"
    try:
        with _collector(folder, page, is_https=is_https) as found:
            yield found
    finally:
        pages.shutdown()
        pages.server_close()


@contextmanager
def _collector(folder: Path, page: str, *, is_https: bool) -> Iterator[Site]:
    path = folder / "collector.toml"
    path.write_text(_SETTINGS.format(origin=page))
    clock, port = Clock(), free_port()
    certificate = _certificate(folder) if is_https else {}
    config = uvicorn.Config(
        partial(create_app, load_settings(str(path)), clock),
        factory=True,
        port=port,
        http=Connection,
        ws="none",
        lifespan="on",
        interface="asgi3",
        log_config=None,
        access_log=False,
        **certificate,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        eventually(lambda: is_connectable(port), "the collector listens")
        address = f"https://localhost:{port}" if is_https else f"http://127.0.0.1:{port}"
        yield Site(folder, page, address, clock)
    finally:
        server.should_exit = True
        thread.join()


def _certificate(folder: Path) -> dict[str, Any]:
    key, certificate = str(folder / "key.pem"), str(folder / "certificate.pem")
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    subprocess.run([*request, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return {"ssl_keyfile": key, "ssl_certfile": certificate}


class _Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(_PAGE)))
        self.end_headers()
        self.wfile.write(_PAGE)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class has it
        """Tests say what went wrong themselves."""
