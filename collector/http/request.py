"""A request: its head, then its body. An endpoint sees the head before the body arrives."""

from typing import Final

from msgspec import Struct

Headers = list[tuple[bytes, bytes]]

_LENGTH_DIGITS: Final = 20
"""Decimal digits of 64 bits."""


class RequestHead(Struct, frozen=True, gc=False):  # created in 0.3 us, an ASGI scope in 0.6
    """The request line and the headers."""

    method: str
    path: bytes
    """As sent, with its percent escapes."""
    query: bytes
    headers: Headers
    """Names in lower case, in the order in which they arrived."""
    fields: dict[bytes, bytes]
    """The last value of each header."""
    peer: tuple[str, int] | None
    """Address and port of the other end of the connection."""
    scheme: str
    version: str = "1.1"
    keep_alive: bool = True
    """Whether the connection may stay open after this request."""

    @property
    def content_length(self) -> int | None:
        """Bytes of the body; None for a chunked one."""
        if b"transfer-encoding" in self.fields:
            return None
        # the parser refuses more than 64 bits, but takes any number of leading zeros, for which `int` raises, and of
        # spaces after them
        return int(self.fields.get(b"content-length", b"0").rstrip()[-_LENGTH_DIGITS:])

    @property
    def has_body(self) -> bool:
        """Whether the request announces a body."""
        return self.fields.get(b"content-length", b"").strip(b"0 \t") != b"" or b"transfer-encoding" in self.fields

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for a 100 Continue before it sends the body."""
        return self.fields.get(b"expect", b"").lower().rstrip() == b"100-continue" and self.version != "1.0"


class Request(Struct, kw_only=True):
    """A request that an endpoint has admitted by its head. Endpoints add fields of their own."""

    head: RequestHead
    body_limit: int
    """The endpoint accepts a body of at most this many bytes."""
    body: bytes = b""
    """Complete when `take` is called."""
    is_gone: bool = False
    """Set when the client has disconnected, so that long work for it can end."""
