"""Requests of hostile and broken clients, drawn by Hypothesis."""

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import zstandard
from hypothesis import strategies as st

KNOWN = b"portal_id=33167&prop_id=2"
TARGETS = (
    *[KNOWN] * 8,
    b"portal_id=33167&prop_id=3",
    b"portal_id=" + b"9" * 5000 + b"&prop_id=2",
    b"prop_id=2",
    b"portal_id=-1&prop_id=2",
    b"portal_id=%d9%a3&prop_id=2",
    b"",
)
FACES = (b"json", b"javascript", b"pixel", b"redirect", b"xml", b"%00", b"json%0d%0ax-y:z")
REDIRECTS = (
    b"https%3A%2F%2Fshop.example.com%2Fp",
    b"https%3A%2F%2Fshop.example.com%2F%0d%0aset-cookie:a=b",
    b"https%3A%2F%2Fshop.example.com%2F%C3%A9%FF%22%3Cscript%3E",
    b"https://shop.example.com@evil.example.net/",
    b"//evil.example.net",
    b"javascript:alert(1)",
    b"https://[::1",
    b"https://shop.example.com:99999/",
)
_FRAGMENTS = (
    *(
        b"",
        b"\0",
        b"\x01",
        b"\x0b",
        b"\x7f",
        b"\xff",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xc0\x80",
        b"\xef\xbb\xbf",
    ),
    *(
        b"\\ud800",
        b"\\udc00\\ud800",
        b"\\u0000",
        b"\\u12",
        b"\\x",
        b"\\",
        b'"',
        b"'",
        b"\n",
        b"\r",
        b"\r\n",
        b"\xe2\x80\xa8",
    ),
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"[" * 70,
        b"]" * 70,
        b'{"a":' * 70,
        b"[" * 5000,
        b"{}",
        b"[]",
        b"null",
        b"true",
    ),
    *(
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"-1e-999",
        b"-",
        b"01",
        b"1.",
        b".5",
        b"-0",
        b"9" * 20,
        b"9" * 5000,
        b"1.0",
        b"0x1",
    ),
    *(b'"ea":1,', b'"ea":"again",', b'"sid":"12",'),
    *(b'"sid":9223372036854775808,', b'"context":[],', b'"\\u0065a":2,'),
    *(b"</script>", b"/*", b"//", b'"id":"x-1",', b"%", b"%b", b"{}{}"),
)
_JUNK_PAIRS = (
    *(b"%", b"%%", b"%zz=%f", b"=", b"&&&", b"a=%00"),
    *(b"%ff=%c0%80", b"+=+", b"a=b=c", b"x[]=1", b"a;b=c", b"ea=again"),
    *(
        b"context=%7B%7D",
        b"context=",
        b"context=%7B%22a%22:1%7D,%22b%22:2",
        b"dims=[1]",
        b"items=[{}]",
        b"items=" + b"[" * 2000,
    ),
    *(
        b"sid=007",
        b"sid=" + b"9" * 400,
        b"sid=%d9%a3",
        b"extra=%0a%7b%0d%7d",
        b"__proto__=1",
        b"a=" + b"%F0%9F%98%80" * 50,
    ),
    *(
        b"an_session=x",
        b"an_session=" + b"A" * 80,
        b"an_session=" + b"%FF" * 80,
        b"is_s2s=yes",
        b"redirect_sig=%C3%A9",
        b"a=1&" * 1100,
    ),
)
_HEADERS = (
    *((b"cookie", b"an_session_33167=" + b"/" * 80), (b"cookie", b";;=;an_session_33167"), (b"cookie", b"\xff\xfe")),
    *(
        (b"user-agent", b'\xff\xe9\t\\"' * 9),
        (b"user-agent", b"x" * 5000),
        (b"origin", b"null"),
        (b"origin", b"https://e.example"),
        (b"sec-fetch-site", b"cross-site"),
        (b"referer", b"https://e.example/\xff"),
    ),
    *((b"x-forwarded-for", b"::::,1.2.3.4"), (b"forwarded", b'for="[::1"'), (b"dnt", b"1"), (b"accept", b"*/*")),
    *((b"authorization", b"Bearer \xff"), (b"x-write-key", b""), (b"transfer-encodin", b"chunked"), (b"a" * 300, b"")),
    *((b"if-none-match", b"*"), (b"range", b"bytes=0-1"), (b"te", b"trailers"), (b"content-language", b"x")),
)
_TYPES = (
    *(b"application/json", b"application/json; charset=utf-16", b"text/plain;charset=UTF-8", b"APPLICATION/JSON"),
    *(b"application/xml", b"multipart/form-data; boundary=x", b"application/json, text/plain"),
    *(b";", b"\xff", b"json"),
)
_NDJSON = b"application/x-ndjson"
_FORM = b"application/x-www-form-urlencoded"
_BOMB = b'{"ea":"' + b"a" * (6 << 20) + b'"}'
_COMPRESSIONS: dict[bytes, Callable[[bytes], bytes]] = {
    b"gzip": gzip.compress,
    b"deflate": zlib.compress,
    b"zstd": zstandard.compress,
}
_BOMBS = {name: compress(_BOMB) for name, compress in _COMPRESSIONS.items()}
_TEXTS = st.text(st.characters(), max_size=12)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=6,
)
_NAMES = ("ea", "ec", "sid", "aid", "uid", "context", "extra", "dims", "items", "note")
_CLICK = {"ea": "click", "ec": "ad", "sid": 1, "aid": "a", "uid": "u"}


class Body(NamedTuple):
    """A body as sent, with its content type and content coding."""

    wire: bytes
    media: bytes | None
    coding: bytes | None
    has_content: bool
    event: bytes | None
    """The event, if the body is one JSON event."""


class Attempt(NamedTuple):
    """A request with correct framing and any content."""

    method: bytes
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: Body | None
    is_chunked: bool
    sizes: tuple[int, ...]
    has_content: bool

    def pieces(self, mark: str) -> list[bytes]:
        """The bytes to send. `mark` is their referer, which identifies their records."""
        body = b"" if self.body is None else self.body.wire
        lines = [b"%b %b HTTP/1.1" % (self.method, self.target), b"host: x"]
        lines += [b"%b: %b" % header for header in self.headers]
        lines += [b"referer: " + mark.encode(), *self._framing(len(body))]
        head = b"\r\n".join([*lines, b"", b""])
        return [head, *chunks(body, self.sizes), b"0\r\n\r\n"] if self.is_chunked else [head + body]

    def _framing(self, length: int) -> list[bytes]:
        if self.body is None:
            return []
        lines = [b"transfer-encoding: chunked" if self.is_chunked else b"content-length: %d" % length]
        lines += [] if self.body.media is None else [b"content-type: " + self.body.media]
        return lines + ([] if self.body.coding is None else [b"content-encoding: " + self.body.coding])


def chunks(body: bytes, sizes: tuple[int, ...]) -> list[bytes]:
    """A body in chunks of these sizes in turn, with hexadecimal numbers in every notation."""
    pieces: list[bytes] = []
    at = 0
    while at < len(body):
        size = max(sizes[len(pieces) % len(sizes)], len(body) // 50)
        piece = body[at : at + size]
        looks = (b"%x\r\n", b"00%X\r\n", b'%x;a="b"\r\n')
        pieces.append(looks[len(pieces) % 3] % len(piece) + piece + b"\r\n")
        at += size
    return pieces


@st.composite
def events(draw: st.DrawFn) -> bytes:
    """The JSON of an event, which may be valid."""
    event: dict[str, Any] = dict(_CLICK)
    event.update(draw(st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=draw(st.sampled_from((0, 0, 0, 2))))))
    event["note"] = draw(_VALUES)
    text = json.dumps(event, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from((None, None, 1))))
    return draw(mutations(text.encode("utf-8", "surrogatepass")))


@st.composite
def mutations(draw: st.DrawFn, text: bytes) -> bytes:
    """The text; half of the time a few places are overwritten by bytes that are hard for parsers."""
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 2, 4)))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.sampled_from(_FRAGMENTS)) + text[at + draw(st.integers(0, 4)) :]
    return text


@st.composite
def pairs(draw: st.DrawFn) -> bytes:
    """The event of a query or form."""
    parts = [b"ea=click&ec=ad"]
    parts += draw(st.sampled_from(([], [b"sid=1&aid=a&uid=u"])))
    parts += draw(st.lists(st.sampled_from(_JUNK_PAIRS), max_size=3))
    return b"&".join(parts)


@st.composite
def bodies(draw: st.DrawFn) -> Body:
    """A body of any media type, whole or broken, compressed or not."""
    media, text = draw(_contents())
    is_single = media not in (_NDJSON, _FORM) and not text.lstrip().startswith(b"[")
    coding = draw(st.sampled_from((None, None, None, b"identity", b"br", *_COMPRESSIONS)))
    wire, is_whole = draw(_coded(text, coding))
    return Body(wire, media, coding, bool(text if is_whole else wire), text if is_single and is_whole else None)


@st.composite
def _contents(draw: st.DrawFn) -> tuple[bytes | None, bytes]:
    kind = draw(st.sampled_from(("event", "event", "array", "lines", "form", "bytes")))
    if kind == "array":
        return b"application/json", draw(mutations(b"[" + b",".join(draw(st.lists(events(), max_size=4))) + b"]"))
    if kind == "lines":
        return _NDJSON, draw(st.sampled_from((b"\n", b"\r\n", b"\n\n"))).join(draw(st.lists(events(), max_size=4)))
    if kind == "form":
        return _FORM, draw(pairs())
    media = draw(st.sampled_from((None, b"application/json", b"application/json", *_TYPES)))
    return media, draw(events() if kind == "event" else st.binary(max_size=30))


@st.composite
def _coded(draw: st.DrawFn, text: bytes, coding: bytes | None) -> tuple[bytes, bool]:
    if coding not in _COMPRESSIONS:
        return text, True
    packed = _COMPRESSIONS[coding](text)
    fate = draw(st.sampled_from(("whole", "whole", "cut", "junk", "twice", "bomb", "plain")))
    if fate == "whole":
        return packed, True
    wires = {"cut": packed[: len(packed) // 2], "junk": packed + b"junk", "twice": packed + _COMPRESSIONS[coding](b" ")}
    return {**wires, "bomb": _BOMBS[coding], "plain": text}[fate], False


@st.composite
def attempts(draw: st.DrawFn) -> Attempt:
    """A request with correct framing."""
    body = draw(st.none() | bodies() | bodies())
    event = draw(pairs()) if body is None else b""
    query = [draw(st.sampled_from(TARGETS)), b"resp_type=" + draw(st.sampled_from(FACES))]
    query += draw(st.sampled_from(([], [b"redirect_url=" + draw(st.sampled_from(REDIRECTS))])))
    query += [event] if event else draw(st.lists(st.sampled_from(_JUNK_PAIRS), max_size=1))
    path = draw(st.sampled_from((b"/event", b"/event", b"/", b"/%65vent", b"/event/", b"//event", b"/openapi.json")))
    others = (b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"M-SEARCH")
    return Attempt(
        method=draw(st.sampled_from((*[b"GET" if body is None else b"POST"] * 5, *others))),
        target=path + b"?" + b"&".join(query),
        headers=tuple(draw(st.lists(st.sampled_from(_HEADERS), max_size=3))),
        body=body,
        is_chunked=body is not None and draw(st.booleans()),
        sizes=tuple(draw(st.lists(st.sampled_from((1, 2, 7, 100, 5000)), min_size=1, max_size=3))),
        has_content=body.has_content if body else True,
    )
