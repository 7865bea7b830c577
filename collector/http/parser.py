"""HTTP/1.1 without I/O: bytes in; heads, parts of bodies, ends and refusals out. Has all limits of heads and framing.

    feed(b"POST /event HTTP/1.1\\r\\ncontent-length: 2\\r\\n\\r\\n{}")  ->  [RequestHead(…), b"{}", END]

States, as `phase`:

    IDLE --first byte--> HEAD --empty line--> BODY --end--> IDLE
                           \\---------------------\\---> FAILED, after a refusal: nothing more is parsed

The parser is llhttp, by httptools. It refuses request smuggling: two lengths, a length beside chunks, odd line ends.
"""

from collections import deque
from enum import Enum
from typing import Any, Final

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, parse_url

from collector.errors import BadRequest, HeadersTooLarge, Refusal, UrlTooLong
from collector.http.request import RequestHead

HEADER_BYTES: Final = 32 << 10
"""Limit for all headers together, in addition to the URL."""
_MOST_HEADERS: Final = 256
"""Short headers take fifty times their bytes in memory while the client takes its time to send the rest."""
_DROPPED: Final[Any] = deque(maxlen=0)
_CODINGS: Final = b"transfer-encoding"
_FRAMING: Final = (b"content-length", _CODINGS)
_MALFORMED: Final = BadRequest("malformed HTTP request").refusal
_NO_PATH: Final = BadRequest("the request line has no path").refusal
_FRAMING_TOO_LONG: Final = BadRequest("a chunk extension or the trailers are over their limit").refusal
_HEADERS_TOO_LARGE: Final = HeadersTooLarge(
    f"the headers are over their limit of {HEADER_BYTES:,} bytes, or are more than {_MOST_HEADERS}"
).refusal
_OTHER_CODING: Final = BadRequest("transfer-encoding: expected chunked alone; name gzip in content-encoding").refusal


class End(Enum):
    """The end of a request."""

    END = "end"


END: Final = End.END
Event = RequestHead | bytes | End | Refusal
_FRAGMENT: Final = ord("#")
"""As an integer, because `in` is faster with it than with bytes."""
_STOPPED: Final = HttpRequestParser(object())

# The phases. Not an Enum, because a look-up of its members costs 40 ns, several times a request.
IDLE: Final = 0
HEAD: Final = 1
BODY: Final = 2
FAILED: Final = 3


class Parser:
    """Parses the requests of one connection."""

    def __init__(self, url_bytes: int, peer: tuple[str, int] | None, scheme: str) -> None:
        self.phase = IDLE
        self._url_bytes = url_bytes
        self._most_head_bytes = url_bytes + HEADER_BYTES
        self._peer = peer
        self._scheme = scheme
        self._llhttp = _new_llhttp(self)
        self._events: list[Event] = []
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = _DROPPED
        self._data_bytes = 0
        self._pending_bytes = 0
        """Bytes of an unfinished head, of a chunk's header or of trailers."""
        self._is_declining = False

    def feed(self, data: bytes | memoryview) -> list[Event]:
        """Parse bytes. A refusal is the last event; bytes after it are dropped."""
        if self.phase is FAILED:
            return []
        events: list[Event] = []
        self._events = events
        self._data_bytes = len(data)
        if self.phase is IDLE:
            self.phase = HEAD  # for line breaks between requests too: they must not keep a connection open for ever
            self._pending_bytes = 0
        self._pending_bytes += len(data)
        try:
            self._llhttp.feed_data(data)
        except HttpParserUpgrade as offer:
            self._decline(data, offer.args[0])
        except HttpParserError:
            self._fail(_MALFORMED)
        if self.phase is not IDLE:
            self._check_pending()
        self._events = _DROPPED
        return events

    def stop(self) -> None:
        """Parse nothing more, and release llhttp, which refers to this parser. Idempotent."""
        self.phase = FAILED
        self._headers, self._url = _DROPPED, b""
        self._llhttp = _STOPPED

    def on_message_begin(self) -> None:
        """Called by llhttp at the first byte of a request."""
        if not (self._is_declining or self.phase is FAILED):
            if self.phase is IDLE:  # after another request in these bytes, which count for that one
                self._pending_bytes = 0
            self.phase = HEAD
            self._url = b""
            self._headers = []

    def on_url(self, part: bytes) -> None:
        """Called for each part of the URL that arrives."""
        if not self._is_declining:
            self._url += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called for each header, and for each trailer, which is dropped."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Called at the empty line after the headers."""
        if self._is_declining or self.phase is FAILED:
            return
        url, headers, llhttp = self._url, self._headers, self._llhttp
        self.phase = BODY
        most = self._most_head_bytes
        if len(headers) > _MOST_HEADERS or (
            (self._pending_bytes > most or self._data_bytes > most) and _length(url, headers) > most
        ):
            self._fail_head()
            return
        self._headers, self._url = _DROPPED, b""
        self._pending_bytes = 0
        target = _split(url)
        if target is None:
            self._fail(_NO_PATH)
            return
        path, query = target
        fields = dict(headers)
        if _CODINGS in fields and any(_is_other_coding(*header) for header in headers):
            self._fail(_OTHER_CODING)
            return
        keep_alive = llhttp.should_keep_alive()
        # only HTTP/1.1 keeps connections alive without being asked to; llhttp formats its version anew for each request
        version = "1.1" if keep_alive and b"connection" not in fields else llhttp.get_http_version()
        self._events.append(
            RequestHead(
                llhttp.get_method().decode(),
                path,
                query,
                headers,
                fields,
                self._peer,
                self._scheme,
                version,
                keep_alive and version != "1.0",
            )
        )

    def on_chunk_header(self) -> None:
        """Called at the end of a chunk's first line, and of the line that ends the last chunk."""
        self._pending_bytes = 0

    def on_body(self, part: bytes) -> None:
        """Called for each part of a body that arrives."""
        self._pending_bytes = 0
        if self.phase is BODY:
            self._events.append(part)

    def on_message_complete(self) -> None:
        """Called at the end of a request."""
        if self.phase is BODY and not self._llhttp.should_upgrade():
            self.phase = IDLE
            self._events.append(END)

    def _decline(self, data: bytes | memoryview, at: int) -> None:
        """Stay with HTTP/1.1 although the client offers an upgrade, as Java's client does with every request.

        llhttp would treat the body as that protocol's, so a new llhttp, which has not seen the offer, parses it.
        """
        head = self._events[-1] if self._events else None
        if not isinstance(head, RequestHead):
            return  # the head was refused
        framing = [b"%b: %b\r\n" % header for header in head.headers if header[0] in _FRAMING]
        self._llhttp = _new_llhttp(self)
        rest = data[at:]
        try:
            self._is_declining = True
            self._llhttp.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % b"".join(framing))
            self._is_declining = False
            if rest:
                self._llhttp.feed_data(rest)
        except HttpParserUpgrade as another:
            self._decline(rest, another.args[0])
        except HttpParserError:  # also of framing that llhttp does not check where an upgrade is offered
            self._fail(_MALFORMED)

    def _check_pending(self) -> None:
        if self.phase is HEAD and (len(self._headers) > _MOST_HEADERS or self._pending_bytes > self._most_head_bytes):
            self._fail_head()
        elif self.phase is BODY and self._pending_bytes > self._most_head_bytes:
            self._fail(_FRAMING_TOO_LONG)

    def _fail_head(self) -> None:
        most = self._url_bytes
        is_url = len(self._url) > most
        self._fail(UrlTooLong(f"the URL is over the limit of {most} bytes").refusal if is_url else _HEADERS_TOO_LARGE)

    def _fail(self, refusal: Refusal) -> None:
        if self.phase is not FAILED:
            self.phase = FAILED
            self._headers, self._url = _DROPPED, b""
            self._events.append(refusal)


def _new_llhttp(parser: Parser) -> HttpRequestParser:
    llhttp = HttpRequestParser(parser)
    llhttp.set_dangerous_leniencies(lenient_data_after_close=True)  # such data is dropped, without an error
    return llhttp


def _split(url: bytes) -> tuple[bytes, bytes] | None:
    """The path and the query of a request line; None if it has no path."""
    if url[:1] == b"/" and _FRAGMENT not in url:  # same result as `parse_url`, in a fifth of the time
        path, _, query = url.partition(b"?")
        return path, query
    try:
        parsed = parse_url(url)
    except HttpParserError:
        return None
    return None if parsed.path is None else (parsed.path, parsed.query or b"")


def _is_other_coding(name: bytes, value: bytes) -> bool:
    """Whether a header names a coding that is not undone here."""
    return name == _CODINGS and value.strip().lower() != b"chunked"


def _length(url: bytes, headers: list[tuple[bytes, bytes]]) -> int:
    return len(url) + sum(len(name) + len(value) for name, value in headers)
