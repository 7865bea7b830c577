"""Requests whose lengths, chunks or headers contradict their bytes, drawn by Hypothesis."""

from typing import NamedTuple

from hypothesis import strategies as st

_TARGET = b"/event?portal_id=33167&prop_id=2&resp_type=json"
_EVENT = b'{"ea":"a","ec":"c","sid":1,"aid":"x","uid":"u"}'
_LAST = b"GET /is-it-up HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
_INNER = b"POST %b HTTP/1.1\r\nhost: x\r\nreferer: inner-%b\r\ncontent-length: %d\r\n\r\n%b"
"""A complete request, to be hidden in the body of another."""
_CHUNKED = b"transfer-encoding: chunked"
_LENGTHS = (
    *(
        b"-1",
        b"+%d",
        b"0x10",
        b"%d %d",
        b"%d, %d",
        b"%d;",
        b"",
        b"99999999999999999999999",
        b"0" * 5000 + b"%d",
        b"1e1",
    ),
    *(b"%d\xa0", b"\xb2", b"%d\x00", b"18446744073709551616"),
)
_CODINGS = (
    *(b"chunked, chunked", b"gzip, chunked", b"chunked, gzip", b"identity", b"xchunked", b"chunked\x0b", b'"chunked"'),
    *(b"Chunked", b"chunked,", b",chunked", b"", b"gzip"),
)
_CHUNKS = (
    *(b"%x\r\n%b\r\n0\r\n\r\n", b"%X ;a\r\n%b\r\n0\r\n\r\n", b"0%x\r\n%b\r\n0\r\nx-trailer: y\r\nreferer: z\r\n\r\n"),
    *(b"%x\n%b\n0\n\n", b"-%x\r\n%b\r\n0\r\n\r\n", b"0x%x\r\n%b\r\n0\r\n\r\n", b"%x\r\n%bxx0\r\n\r\n", b"%x\r\n%b\r\n"),
    *(
        b"fffffffffffffffff%x\r\n%b\r\n0\r\n\r\n",
        b"%x;" + b"a" * 9000 + b"\r\n%b\r\n0\r\n\r\n",
        b"%x\r\n%b\r\n00\r\n\r\n",
    ),
    *(
        b"\r\n%x\r\n%b\r\n0\r\n\r\n",
        b"%x\r\n%b\r\n0\r\nbad trailer\r\n\r\n",
        b"%x\r\r\n%b\r\n0\r\n\r\n",
        b"%x\r\n%b\r\n0\r\n",
    ),
)
_JUNK = (
    *(
        b"x: a\0b",
        b"x : y",
        b": v",
        b"no colon",
        b" folded",
        b"\tfolded",
        b"x: " + b"y" * 60_000,
        b"x: a\rb",
        b"x\x80: y",
    ),
    *(b"expect: 100-continue", b"expect: more", b"connection: keep-alive, close", b"connection: \xff", b"host: y"),
    *(b"upgrade: h2c\r\nconnection: upgrade", b"upgrade: websocket\r\nconnection: upgrade", b"upgrade: h2c"),
    b"\r\n".join([b"x-%d: y" % number for number in range(500)]),
)
_LINES = (
    *(
        b"GET %b HTTP/1.1",
        b"POST %b HTTP/1.0",
        b"POST %b HTTP/1.2",
        b"POST %b HTTP/2.0",
        b"POST %b",
        b"post %b HTTP/1.1",
    ),
    *(
        b"POST  %b HTTP/1.1",
        b"POST http://x%b HTTP/1.1",
        b"POST http:%b HTTP/1.1",
        b"CONNECT %b HTTP/1.1",
        b"POST\t%b HTTP/1.1",
    ),
    *(
        b"POST %b\xff HTTP/1.1",
        b"POST %b\x00 HTTP/1.1",
        b"POST %b#a HTTP/1.1",
        b"POST *%b HTTP/1.1",
        b"\r\n\r\nPOST %b HTTP/1.1",
    ),
    *(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nPOST %b HTTP/1.1", b"\x16\x03\x01\x02\x00\x01\x00\x01%b", b"POST %b RTSP/1.0"),
)


class Burst(NamedTuple):
    """All bytes of a connection: a request, and one that ends the connection. `MARK` is replaced by the referer."""

    template: bytes
    is_ambiguous: bool
    """Its headers have two lengths."""
    is_plain: bool
    """Nothing is wrong with it."""

    def wire(self, mark: str) -> bytes:
        """The bytes, with a referer that identifies the records."""
        return self.template.replace(b"MARK", mark.encode())


@st.composite
def bursts(draw: st.DrawFn) -> Burst:
    """A request with about one fault."""
    wrong = draw(
        st.sampled_from(("nothing", "line", "length", "coding", "chunks", "both", "twice", "short", "junk", "cut"))
    )
    body = _EVENT + draw(st.sampled_from((b"", b" " * 9, _inner())))
    line = draw(st.sampled_from(_LINES)) if wrong == "line" else b"POST %b HTTP/1.1"
    headers = [b"host: x", b"referer: MARK", *draw(st.permutations(_framing(draw, wrong, len(body))))]
    if wrong == "junk":
        headers.insert(draw(st.integers(0, len(headers))), draw(st.sampled_from(_JUNK)))
    sent = draw(st.sampled_from(_CHUNKS)) % (len(body), body) if _is_chunked(headers) else body
    whole = line.replace(b"%b", _TARGET) + b"\r\n" + b"\r\n".join(headers) + b"\r\n\r\n" + sent + _LAST
    if wrong == "cut":
        whole = whole[: draw(st.integers(0, len(whole)).filter(lambda at: at != len(whole) - len(_LAST)))]
    is_plain = wrong == "nothing" and body.strip() == _EVENT
    return Burst(whole, is_ambiguous=wrong in ("both", "twice"), is_plain=is_plain)


def _inner() -> bytes:
    return b"\r\n\r\n" + _INNER % (_TARGET, b"MARK", len(_EVENT), _EVENT)


def _is_chunked(headers: list[bytes]) -> bool:
    return any(header.lower().startswith(b"transfer-encoding") for header in headers)


def _framing(draw: st.DrawFn, wrong: str, length: int) -> list[bytes]:
    right = b"content-length: %d" % length
    if wrong == "length":
        text = draw(st.sampled_from(_LENGTHS))
        return [b"content-length: " + text.replace(b"%d", b"%d" % length)]
    if wrong == "short":
        return [b"content-length: %d" % (length + draw(st.sampled_from((-length, -9, -1, 1, 9, 9999))))]
    if wrong == "coding":
        return [b"transfer-encoding: " + draw(st.sampled_from(_CODINGS))]
    if wrong == "both":
        return [right, _CHUNKED]
    if wrong == "twice":
        return [right, b"content-length: %d" % draw(st.sampled_from((0, length, length - 1)))]
    return [_CHUNKED] if wrong == "chunks" else [right]
