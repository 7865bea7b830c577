"""A collector as its users run it: the real program in its own process group, with its own folder."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import urlopen

import psutil
import zstandard

from bench.processes import end, free_port, is_admin_process, is_connectable, is_worker
from wal.files import Files
from wal.folder import LogFolder
from wal.reader import Reader, read_all
from wal.segment import Block

PATIENCE_SECONDS = 60.0
WRITE_KEYS = {
    "TRACKLOG_TEST_KEY_A": "key-a-0123456789abcdef",
    "TRACKLOG_TEST_KEY_B": "key-b-0123456789abcdef",
}
PROGRAMS = Path(sys.executable).parent
_SETTINGS = """
[server]
port = {port}
workers = {workers}
grace_seconds = 5
alias = "/c/hello"
trusted_proxies = ["127.0.0.0/8"]
[log]
stall_seconds = 20
[limits]
header_seconds = 1
body_seconds = 1
[[property]]
portal_id = 33167
prop_id = 564990801
origins = ["https://shop.example.com"]
rejects_per_second = 1000000
redirect_hosts = ["shop.example.com"]
[[property]]
portal_id = 33167
prop_id = 2
source = "pos"
required = ["ea", "ec"]
[[property]]
portal_id = 33167
prop_id = 3
source = "android"
write_keys = ["env:TRACKLOG_TEST_KEY_A", "env:TRACKLOG_TEST_KEY_B"]
[[property]]
portal_id = 33167
prop_id = 4
ip = "truncate"
user_agent = "drop"
cookies = false
[[property]]
portal_id = 33167
prop_id = 5
events_per_second = 0.1
redirect_hosts = ["shop.example.com"]
[[sink]]
type = "file"
dir = "data/events"
flush_seconds = 0.2
flush_bytes = 65536
"""


class Response(NamedTuple):
    """An HTTP answer; header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


_NO_ADMIN = "\n[admin]\nenabled = false\n"
"""What settings end with that do not say otherwise: collectors of two tests must not want one port."""
_ASGI_SERVERS = {
    "uvicorn": ("uvicorn", "collector.asgi:app", "--host", "127.0.0.1", "--port", "{port}"),
    "hypercorn": ("hypercorn", "collector.asgi:app", "--bind", "127.0.0.1:{port}", "--error-logfile", "-"),
}
"""Servers that know ASGI and nothing of ours."""


class Collector:
    """`collector serve` in `folder`, or the same under another ASGI server. Use `running` to have it stopped."""

    def __init__(self, folder: Path, workers: int = 2, settings: str = _SETTINGS, server: str = "collector") -> None:
        self.folder = folder
        self.server = server
        self.port = free_port()
        self.tls: ssl.SSLContext | None = None
        """The client's context, if the settings have a certificate."""
        text = settings.format(port=self.port, workers=workers)
        (folder / "collector.toml").write_text(text if "[admin]" in text else text + _NO_ADMIN)
        self._log = folder / "stderr.log"

    def start(self) -> None:
        """Start, and return once all workers serve."""
        earlier = len(self.stderr) if self._log.exists() else 0
        self.launch()
        eventually(lambda: self._is_up(self.stderr[earlier:]), "the collector is up")
        if "admin address http://" in self.stderr[earlier:]:
            eventually(self.admin_processes, "the admin process has its name, which tells it from workers")

    def launch(self) -> None:
        """Start, without waiting for anything."""
        config = str(self.folder / "collector.toml")
        environment = os.environ | WRITE_KEYS | {"TRACKLOG_CONFIG": config}
        program, *arguments = _ASGI_SERVERS.get(self.server, ("collector", "serve", "--config", config))
        command = [str(PROGRAMS / program), *(argument.format(port=self.port) for argument in arguments)]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log, cwd="/", env=environment, start_new_session=True)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end, and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)

    def kill(self) -> None:
        """SIGKILL for the supervisor and all workers at once."""
        end(self.process)
        eventually(lambda: not is_connectable(self.port), "the killed collector's socket is gone")

    def admin_processes(self) -> list[psutil.Process]:
        """The admin process, if it lives now."""
        return [process for process in psutil.Process(self.process.pid).children() if is_admin_process(process)]

    @property
    def admin_port(self) -> int:
        """The port of the admin address, as the line of the last start has it."""
        return int(re.findall(r"admin address http://127\.0\.0\.1:(\d+)", self.stderr)[-1])

    def workers(self) -> list[psutil.Process]:
        """The worker processes that live now."""
        return workers_of(self.process.pid)

    @property
    def stderr(self) -> str:
        """All that it printed."""
        return self._log.read_text()

    def send(self, method: str, target: str, body: bytes = b"", **headers: str) -> Response:
        """One request on a connection of its own; `content_type="…"` becomes the header content-type."""
        lines = [f"{method} {target} HTTP/1.1", "host: collector.example.com", "connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if body or method == "POST":
            lines.append(f"content-length: {len(body)}")
        return self.exchange("\r\n".join([*lines, "", ""]).encode() + body)

    def connect(self) -> socket.socket:
        """A new connection, over TLS if the collector serves that."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS)
        return self.tls.wrap_socket(connection, server_hostname="127.0.0.1") if self.tls else connection

    def exchange(self, request: bytes) -> Response:
        """Send bytes as they are and read one whole answer."""
        with self.connect() as connection:
            connection.sendall(request)
            with connection.makefile("rb") as stream:
                return read_response(stream.readline, stream.read, has_body=not request.startswith(b"HEAD"))

    def post(self, event: object, query: str = "resp_type=json", **headers: str) -> Response:
        """Post one event to the web property."""
        headers.setdefault("content_type", "application/json")
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        return self.send("POST", f"/event?portal_id=33167&prop_id=564990801&{query}", body, **headers)

    def stored(self) -> list[dict[str, Any]]:
        """Every record of the log, shard after shard."""
        return read_log(self.folder / "data/log")

    def dead(self) -> list[dict[str, Any]]:
        """Every dead letter."""
        return read_log(self.folder / "data/dead")

    def metrics(self) -> str:
        """The metrics of all processes, from the admin address."""
        with urlopen(f"http://127.0.0.1:{self.admin_port}/metrics", timeout=PATIENCE_SECONDS) as response:
            return str(response.read().decode())

    def shipped(self, folder: str = "data/events") -> list[dict[str, Any]]:
        """Every event in a file sink's files."""
        lines: list[dict[str, Any]] = []
        for path in sorted((self.folder / folder).rglob("*.ndjson.zst")):
            text = zstandard.ZstdDecompressor().decompress(path.read_bytes())
            lines += [json.loads(line) for line in text.splitlines()]
        return lines

    def _is_up(self, printed: str) -> bool:
        assert self.process.poll() is None, self.stderr
        return "serving on http" in printed if self.server == "collector" else is_connectable(self.port)


@contextmanager
def running(
    folder: Path, workers: int = 2, settings: str = _SETTINGS, server: str = "collector"
) -> Iterator[Collector]:
    """A collector that serves, and is killed at the end if it still lives, also where its start fails."""
    collector = Collector(folder, workers, settings, server)
    try:
        collector.start()
        yield collector
    finally:
        collector.kill()


def read_log(directory: Path) -> list[dict[str, Any]]:
    """Every record of the logs below `directory`, through the reader of the log itself."""
    records: list[dict[str, Any]] = []
    files = Files()
    for shard in sorted(str(path.parent) for path in directory.glob("*/log.json")):
        start = LogFolder(files, shard).oldest()
        assert start is not None
        reader = Reader(LogFolder(files, shard), start)
        for block in read_all(reader):
            assert isinstance(block, Block), block
            records += [json.loads(line) for line in block.payload.splitlines()]
        reader.close()
    return records


def read_response(readline: Any, read: Any, *, has_body: bool = True) -> Response:
    """Parse one HTTP/1.1 answer with a content length."""
    status = re.match(rb"HTTP/1\.1 (\d{3}) ", readline())
    assert status, "no answer"
    headers: dict[str, str] = {}
    while (line := readline().rstrip()) != b"":
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    return Response(int(status[1]), headers, read(int(headers.get("content-length", "0")) if has_body else 0))


def eventually(holds: Any, what: str) -> None:
    """Return once `holds()` is true; fail with `what` if it never becomes so."""
    started = time.monotonic()
    while not holds():
        waited = time.monotonic() - started
        assert waited < PATIENCE_SECONDS, f"never: {what}"
        time.sleep(pause(waited))


def pause(waited: float) -> float:
    """Seconds until the next look at what was waited for so long. To look takes CPU time from what is looked for."""
    return min(0.02 + waited / 20, 0.25)


def workers_of(pid: int) -> list[psutil.Process]:
    """The worker processes of a supervisor that live now."""
    return [process for process in psutil.Process(pid).children() if is_worker(process)]
