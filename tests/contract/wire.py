"""A client that sends bytes as they are, and accepts only strictly valid HTTP responses."""

import re
import socket
from typing import BinaryIO, NamedTuple

from tests.running import PATIENCE_SECONDS

_STATUS = re.compile(rb"HTTP/1\.1 ([1-5]\d\d) [A-Za-z -]+\r\n")
_HEADER = re.compile(rb"([a-z0-9-]+): ([\x20-\x7e]*)\r\n")
_ONCE = ("content-length", "content-type", "location", "retry-after", "x-event-id", "connection", "set-cookie")


class NotHttp(AssertionError):
    """A malformed response."""


class Answer(NamedTuple):
    """A response; header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def is_last(self) -> bool:
        """Whether the server announces that it closes the connection after it."""
        return self.headers.get("connection") == "close"


class Wire:
    """A connection that is reopened after it was closed, to any worker."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._stream: BinaryIO | None = None

    def send(self, *pieces: bytes) -> None:
        """Send a request in these pieces, on the open connection if there is one."""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE_SECONDS)
            self._stream = self._socket.makefile("rb")
        try:
            for piece in pieces:
                self._socket.sendall(piece)
        except OSError:
            pass  # refused and closed before all was sent; there may be a response

    def answer(self, method: bytes) -> Answer | None:
        """The response to the request sent; None if the connection ended instead."""
        assert self._stream is not None
        try:
            answer = read_answer(self._stream, method)
        except ConnectionError:
            answer = None
        if answer is None or answer.is_last:
            self.close()
        return answer

    def answers(self) -> list[Answer]:
        """All responses up to the end of the connection, which must come."""
        answers: list[Answer] = []
        while answer := self.answer(b"POST"):
            answers.append(answer)
            if self._stream is None:
                break
        self.close()
        return answers

    def close(self) -> None:
        """End the connection."""
        if self._socket is not None and self._stream is not None:
            self._stream.close()
            self._socket.close()
        self._socket = self._stream = None


def read_answer(stream: BinaryIO, method: bytes) -> Answer | None:
    """The next final response of a stream, None at its end. Raises NotHttp."""
    line = stream.readline()
    if not line:
        return None
    found = _STATUS.fullmatch(line)
    if found is None:
        raise NotHttp(f"status line {line!r}")
    headers = _headers(stream)
    status = int(found[1])
    if status == 100:
        return read_answer(stream, method)
    has_body = method != b"HEAD" and status != 204
    return Answer(status, headers, _body(stream, headers) if has_body else b"")


def _headers(stream: BinaryIO) -> dict[str, str]:
    headers: dict[str, str] = {}
    while (line := stream.readline()) != b"\r\n":
        found = _HEADER.fullmatch(line)
        if found is None:
            raise NotHttp(f"header {line!r}")
        name = found[1].decode()
        if name in headers and name in _ONCE:
            raise NotHttp(f"{name} twice")
        headers[name] = found[2].decode()
    return headers


def _body(stream: BinaryIO, headers: dict[str, str]) -> bytes:
    length = headers.get("content-length", "")
    if not re.fullmatch("0|[1-9][0-9]*", length):
        raise NotHttp(f"content-length {length!r}")
    body = stream.read(int(length))
    if len(body) != int(length):
        raise NotHttp(f"{len(body)} bytes of {length}")
    return body
