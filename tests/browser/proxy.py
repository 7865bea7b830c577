"""A proxy that ends TLS in front of a collector and says so in `X-Forwarded-Proto`, as load balancers do."""

import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

_PATIENCE_SECONDS = 10.0
_OF_ONE_HOP = {"connection", "keep-alive", "transfer-encoding", "date", "server"}


class Certificate(NamedTuple):
    """Paths of a certificate for localhost, signed by itself, and of its key."""

    certificate: str
    key: str


def make_certificate(folder: Path) -> Certificate:
    """By the openssl command."""
    made = Certificate(str(folder / "certificate.pem"), str(folder / "key.pem"))
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    subprocess.run([*request, "-keyout", made.key, "-out", made.certificate], check=True, capture_output=True)
    return made


@contextmanager
def tls_proxy(port: int, certificate: Certificate) -> Iterator[str]:
    """The address of a proxy for the collector at `port`, on another site than 127.0.0.1."""
    proxy = _Proxy(port, certificate)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        yield f"https://localhost:{proxy.server_port}"
    finally:
        proxy.shutdown()
        proxy.server_close()


class _Proxy(ThreadingHTTPServer):
    def __init__(self, upstream: int, certificate: Certificate) -> None:
        super().__init__(("127.0.0.1", 0), _Forward)
        self.upstream = upstream
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.certificate, certificate.key)
        # a connection that a browser opens in advance would hold up all others with its handshake
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)


class _Forward(BaseHTTPRequestHandler):
    server: _Proxy
    timeout = _PATIENCE_SECONDS

    def do_GET(self) -> None:
        connection = HTTPConnection("127.0.0.1", self.server.upstream, timeout=_PATIENCE_SECONDS)
        try:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _OF_ONE_HOP}
            connection.request(self.command, self.path, body or None, headers | {"x-forwarded-proto": "https"})
            self._pass_on(connection.getresponse())
        finally:
            connection.close()

    do_POST = do_OPTIONS = do_GET  # noqa: N815 - as the base class has them

    def _pass_on(self, answer: HTTPResponse) -> None:
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _OF_ONE_HOP:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.read())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class has it
        """Tests say what went wrong themselves."""
