"""What the small HTTP servers here have in common: raw requests in, answers out, a thread a connection."""

import gzip
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import zstandard

Headers = dict[str, str]


class Request(NamedTuple):
    """A request as it came; names of headers are lower-case."""

    method: str
    target: str
    headers: Headers
    body: bytes

    @property
    def inflated(self) -> bytes:
        """The body without its content encoding."""
        match self.headers.get("content-encoding"):
            case None:
                return self.body
            case "gzip":
                return gzip.decompress(self.body)
            case "zstd":
                return zstandard.ZstdDecompressor().decompress(self.body)
            case other:
                raise AssertionError(other)


class Response(NamedTuple):
    """What to answer; `cut` drops the connection instead."""

    status: int = 204
    body: bytes = b""
    headers: Headers = {}  # noqa: RUF012 - nobody changes it
    cut: bool = False


def server(port: int, respond: Callable[[Request], Response]) -> ThreadingHTTPServer:
    """A server on loopback that does not serve yet; `answer` is called in the thread of a connection."""

    class Connection(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", "0")))
            response = respond(Request(self.command, self.path, headers, body))
            if response.cut:
                self.close_connection = True
                return
            self.send_response_only(response.status)
            if response.status != 204:
                self.send_header("content-length", str(len(response.body)))
            for name, value in response.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(response.body)

        do_GET = do_HEAD = do_POST = do_PUT = _serve  # noqa: N815 - the names are those of the standard library

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    return ThreadingHTTPServer(("127.0.0.1", port), Connection)
