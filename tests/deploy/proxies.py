"""nginx and HAProxy before two collectors, with the files of `deploy/`: only addresses and paths are replaced."""

import os
import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from bench.processes import free_port, is_connectable, started
from tests.certificates import Pair, make_pair
from tests.running import PATIENCE_SECONDS, Collector, Response, eventually, read_response, running

NGINX, HAPROXY = "nginx", "haproxy"
_DEPLOY: Final = Path(__file__).parents[2] / "deploy"
_NGINX: Final = """
daemon off;
user {user};
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
worker_processes 1;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/tracklog.conf;
}}
"""
_SETTINGS: Final = """
[server]
port = {port}
workers = {workers}
grace_seconds = 5
trusted_proxies = ["127.0.0.1"]
[[property]]
portal_id = 33167
prop_id = 564990801
redirect_hosts = ["shop.example.com"]
"""


class Proxy(NamedTuple):
    """A proxy that serves HTTPS, and the collectors behind it."""

    kind: str
    port: int
    folder: Path
    nodes: list[Collector]
    tls: ssl.SSLContext

    def connect(self, address: str = "127.0.0.1") -> ssl.SSLSocket:
        """A connection over TLS, from an address of the loopback network."""
        connection = socket.create_connection(
            ("127.0.0.1", self.port), timeout=PATIENCE_SECONDS, source_address=(address, 0)
        )
        return self.tls.wrap_socket(connection, server_hostname="localhost")

    def send(self, method: str, target: str, body: bytes = b"", address: str = "127.0.0.1", **headers: str) -> Response:
        """One request on a connection of its own."""
        lines = [f"{method} {target} HTTP/1.1", "host: events.example.com", "connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        lines += [f"content-length: {len(body)}"] if method == "POST" else []
        with self.connect(address) as connection, connection.makefile("rb") as stream:
            connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
            return read_response(stream.readline, stream.read)

    def logged(self) -> str:
        """All that the proxy has written to its logs."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))


@contextmanager
def proxy(kind: str, folder: Path) -> Iterator[Proxy]:
    """A proxy and two collectors. All are ended, whatever fails."""
    with ExitStack() as stack:
        nodes = []
        for name in ("a", "b"):
            (folder / name).mkdir()
            nodes.append(stack.enter_context(running(folder / name, workers=1, settings=_SETTINGS)))
        yield stack.enter_context(_before(nodes, [node.port for node in nodes], kind, folder))


@contextmanager
def dying_nodes(kind: str, folder: Path) -> Iterator[tuple[Proxy, list[bytes]]]:
    """A proxy before two nodes that receive requests and die before they answer; and the targets they received."""
    with ExitStack() as stack:
        servers = [stack.enter_context(_DyingNode(("127.0.0.1", 0), _Death)) for _ in range(2)]
        received: list[bytes] = []
        for server in servers:
            server.received = received
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
        ports = [server.server_address[1] for server in servers]
        yield stack.enter_context(_before([], ports, kind, folder)), received


class _DyingNode(socketserver.ThreadingTCPServer):
    """Notes the targets of events."""

    daemon_threads = True
    received: list[bytes]


class _Death(socketserver.StreamRequestHandler):
    """Closes the connection after the head of an event; if its uid is `shed`, it gets 503, and a probe gets 200."""

    server: _DyingNode

    def handle(self) -> None:
        """One connection."""
        target = self.rfile.readline().split()[1:2]
        while self.rfile.readline().strip():
            pass
        if not (target and target[0].startswith(b"/event")):
            self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            return
        self.server.received += target
        if b"uid=shed" in target[0]:
            self.wfile.write(b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n")


@contextmanager
def _before(nodes: list[Collector], ports: list[int], kind: str, folder: Path) -> Iterator[Proxy]:
    port, pair = free_port(), make_pair(folder)
    command = _COMMANDS[kind](folder, port, pair, ports)
    with (folder / "output.log").open("wb") as log, started(command, stdout=log, stderr=log):
        eventually(lambda: is_connectable(port), f"{kind} listens")
        yield Proxy(kind, port, folder, nodes, pair.trusting())


def faults(kind: str, folder: Path) -> str:
    """What the proxy's own check finds in the shipped file, with no more than the certificate's path replaced."""
    pair = make_pair(folder)
    command = _COMMANDS[kind](folder, None, pair, [])
    check = [*command, "-t"] if kind == NGINX else [*command, "-c"]
    done = subprocess.run(check, check=False, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def program(kind: str) -> str | None:
    """The path of the proxy; Debian has both where users do not look."""
    return shutil.which(kind, path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def _nginx(folder: Path, port: int | None, pair: Pair, nodes: list[int]) -> list[str]:
    paths = {
        "/etc/ssl/tracklog/tls.pem": str(pair.certificate),
        "/etc/ssl/tracklog/tls.key": str(pair.key),
        "/var/log/nginx": str(folder),
    }
    text = _replaced((_DEPLOY / "nginx/tracklog.conf").read_text(), paths | _addresses("listen 443", port, nodes))
    (folder / "tracklog.conf").write_text(text)
    user = "root" if os.geteuid() == 0 else "nobody"  # who cannot change its user ignores it
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, user=user))
    return [program(NGINX) or "", "-p", str(folder), "-c", str(folder / "nginx.conf")]


def _haproxy(folder: Path, port: int | None, pair: Pair, nodes: list[int]) -> list[str]:
    both = folder / "both.pem"
    both.write_text(pair.certificate.read_text() + pair.key.read_text())
    paths = {"/etc/haproxy/tracklog.pem": str(both)}
    text = _replaced((_DEPLOY / "haproxy/haproxy.cfg").read_text(), paths | _addresses("bind :443", port, nodes))
    (folder / "haproxy.cfg").write_text(text)
    return [program(HAPROXY) or "", "-f", str(folder / "haproxy.cfg")]


def _addresses(listen: str, port: int | None, nodes: list[int]) -> dict[str, str]:
    if port is None:
        return {}
    keyword = listen.partition(" ")[0]
    servers = {f"10.0.0.{11 + at}:8080": f"127.0.0.1:{node}" for at, node in enumerate(nodes)}
    return {listen: f"{keyword} 127.0.0.1:{port}"} | servers


def _replaced(text: str, values: dict[str, str]) -> str:
    for old, new in values.items():
        assert old in text, "the shipped file has other values"
        text = text.replace(old, new)
    return text


_COMMANDS: Final = {NGINX: _nginx, HAPROXY: _haproxy}
