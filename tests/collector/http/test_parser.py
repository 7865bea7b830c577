"""The parser: each case whole, cut at every byte, with bytes after it, and as Hypothesis cuts it."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import Refusal
from collector.http.parser import END, FAILED, HEADER_BYTES, IDLE, Event, Parser
from collector.http.request import RequestHead

URL_BYTES = 1024
PEER = ("203.0.113.7", 4711)

REQUESTS = {
    "GET": (b"GET /event?a=1&b=%20 HTTP/1.1\r\nHost: x\r\n\r\n", b""),
    "HEAD without headers": (b"HEAD / HTTP/1.1\r\n\r\n", b""),
    "POST": (b"POST /event HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello", b"hello"),
    "POST of nothing": (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n", b""),
    "zeros before the length": (b"POST / HTTP/1.1\r\ncontent-length: 0000000000000005\r\n\r\nhello", b"hello"),
    "chunks": (
        b"POST /event HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\na: b\r\n\r\n",
        b"hello",
    ),
    "no chunk": (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", b""),
    "chunks, a space": (b"POST / HTTP/1.1\r\ntransfer-encoding: Chunked \r\n\r\n1\r\na\r\n0\r\n\r\n", b"a"),
    "an offer of HTTP/2": (
        b"POST / HTTP/1.1\r\nconnection: Upgrade\r\nupgrade: h2c\r\ncontent-length: 5\r\n\r\nhello",
        b"hello",
    ),
    "an offer with chunks": (
        b"POST / HTTP/1.1\r\nconnection: Upgrade\r\nupgrade: h2c\r\ntransfer-encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n0\r\n\r\n",
        b"hello",
    ),
    "an offer without a body": (b"GET / HTTP/1.1\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n", b""),
    "an absolute URL": (b"GET http://example.com/event?a=1 HTTP/1.1\r\nhost: x\r\n\r\n", b""),
    "line breaks before it": (b"\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n", b""),
}
REFUSED = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "not HTTP": b"hello\r\n\r\n",
    "another version": b"GET / HTTP/9.9\r\n\r\n",
    "no colon": b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
    "a space before the colon": b"GET / HTTP/1.1\r\nx : y\r\n\r\n",
    "no path": b"GET nowhere HTTP/1.1\r\n\r\n",
    "CONNECT": b"CONNECT example.com:443 HTTP/1.1\r\n\r\n",
    "a length below 0": b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    "a length and chunks": b"POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks within chunks": b"POST / HTTP/1.1\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "a coding within chunks": b"POST / HTTP/1.1\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a coding before chunks": (
        b"POST / HTTP/1.1\r\ntransfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "no chunk": b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nten\r\n",
    "an offer with no chunks": (
        b"POST / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c\r\ntransfer-encoding: identity\r\n\r\n"
    ),
}


def _parser() -> Parser:
    return Parser(URL_BYTES, PEER, "http")


def _fed(*pieces: bytes) -> list[Event]:
    """All events, with the parts of each body joined."""
    parser = _parser()
    events: list[Event] = []
    for piece in pieces:
        for event in parser.feed(piece):
            if isinstance(event, bytes) and events and isinstance(events[-1], bytes):
                events[-1] += event
            else:
                events.append(event)
    return events


def _check(events: list[Event], body: bytes, requests: int = 1) -> None:
    expected = [body] if body else []
    shown = [type(event) if isinstance(event, RequestHead) else event for event in events]
    assert shown == [RequestHead, *expected, END] * requests


@pytest.mark.parametrize("kind", REQUESTS)
def test_a_request_is_the_same_whole_and_cut_at_every_byte(kind: str) -> None:
    sent, body = REQUESTS[kind]
    whole = _fed(sent)
    _check(whole, body)
    for at in range(1, len(sent)):
        assert _fed(sent[:at], sent[at:]) == whole
    assert _fed(*(sent[at : at + 1] for at in range(len(sent)))) == whole


@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("after", REQUESTS)
def test_a_request_is_the_same_with_another_one_after_it(kind: str, after: str) -> None:
    (sent, body), (more, _) = REQUESTS[kind], REQUESTS[after]
    events = _fed(sent + more)
    end = events.index(END) + 1
    _check(events[:end], body)
    assert events[end:] == _fed(more)


@given(st.sampled_from(sorted(REQUESTS)), st.lists(st.integers(0, 400), max_size=8), st.integers(1, 5))
def test_requests_are_the_same_in_whatever_pieces_they_arrive(kind: str, cuts: list[int], requests: int) -> None:
    sent, body = REQUESTS[kind]
    stream = sent * requests
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    _check(_fed(*(stream[at:to] for at, to in pairwise(places))), body, requests)


@pytest.mark.parametrize("kind", REFUSED)
def test_malformed_bytes_are_refused_whole_and_cut_at_every_byte(kind: str) -> None:
    sent = REFUSED[kind]
    for at in range(len(sent)):
        events = _fed(sent[:at], sent[at:], b"GET / HTTP/1.1\r\n\r\n")
        assert END not in events
        (refusal,) = [event for event in events if isinstance(event, Refusal)]
        assert refusal.code == "malformed_request"
        assert events[-1] is refusal


@pytest.mark.parametrize(
    "refused", [REFUSED["no path"], b"GET / HTTP/1.1\r\nx: %b\r\n\r\n" % (b"x" * (URL_BYTES + HEADER_BYTES))]
)
def test_a_refusal_is_the_last_event_whatever_follows_in_the_same_piece(refused: bytes) -> None:
    parser = _parser()
    assert [type(event) for event in parser.feed(refused + REQUESTS["POST"][0])] == [Refusal]
    assert parser.phase == FAILED


@given(st.binary(max_size=300))
def test_no_bytes_raise(data: bytes) -> None:
    parser = _parser()
    parser.feed(data)
    parser.feed(b"\r\n\r\n")


def test_a_head_has_the_facts_of_the_request_line_and_the_headers() -> None:
    (head, _) = _fed(b"GET /a%20b?c=d?e HTTP/1.0\r\nHost: x\r\nX-A: 1\r\nx-a: 2\r\nExpect: 100-Continue\r\n\r\n")
    assert isinstance(head, RequestHead)
    assert (head.method, head.path, head.query) == ("GET", b"/a%20b", b"c=d?e")
    assert head.headers == [(b"host", b"x"), (b"x-a", b"1"), (b"x-a", b"2"), (b"expect", b"100-Continue")]
    assert head.fields[b"x-a"] == b"2"
    assert (head.peer, head.scheme, head.version, head.keep_alive) == (PEER, "http", "1.0", False)
    assert (head.content_length, head.has_body, head.expects_continue) == (0, False, False)


def test_space_after_a_value_does_not_count() -> None:
    (head, _) = _fed(b"POST / HTTP/1.1\r\nexpect: 100-continue \r\ncontent-length: 00\t\r\n\r\n")
    assert isinstance(head, RequestHead)
    assert head.expects_continue
    assert (head.content_length, head.has_body) == (0, False)


@pytest.mark.parametrize(("version", "expects"), [(b"1.0", False), (b"1.1", True)])
def test_a_client_that_knows_no_100_is_not_taken_to_wait_for_it(version: bytes, expects: bool) -> None:
    (head, _) = _fed(b"POST / HTTP/%b\r\nexpect: 100-continue\r\n\r\n" % version)
    assert isinstance(head, RequestHead)
    assert head.expects_continue is expects


@pytest.mark.parametrize("value", [b"5", b"0" * 30 + b"5", b"5" + b" " * 30, b"5\t"])
def test_a_head_knows_the_length_of_its_body_however_it_is_written(value: bytes) -> None:
    head = _fed(b"POST / HTTP/1.1\r\ncontent-length: %b\r\n\r\nhello" % value)[0]
    assert isinstance(head, RequestHead)
    assert head.content_length == 5


@pytest.mark.parametrize(
    ("headers", "keep_alive"),
    [(b"", True), (b"connection: close\r\n", False), (b"connection: keep-alive\r\n", True)],
)
def test_a_connection_is_kept_unless_the_client_ends_it(headers: bytes, keep_alive: bool) -> None:
    (head, _) = _fed(b"GET / HTTP/1.1\r\n%b\r\n" % headers)
    assert isinstance(head, RequestHead)
    assert head.keep_alive is keep_alive


@pytest.mark.parametrize("size", [1, 1000, 1 << 20])
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"GET / HTTP/1.1\r\nx: %b" % (b"x" * (URL_BYTES + HEADER_BYTES)), id="a header"),
        pytest.param(
            b"GET / HTTP/1.1\r\n%b\r\n" % b"".join(b"x-%d: %b\r\n" % (at, b"y" * 150) for at in range(250)),
            id="headers",
        ),
        pytest.param(b"GET / HTTP/1.1\r\n%b\r\n" % (b"x: y\r\n" * 400), id="many headers"),
    ],
)
def test_a_head_over_its_limits_is_refused(sent: bytes, size: int) -> None:
    events = _fed(*(sent[at : at + size] for at in range(0, len(sent), size)))
    assert [event.code for event in events if isinstance(event, Refusal)] == ["headers_too_large"]


@pytest.mark.parametrize("size", [1, 3, 4096])
@pytest.mark.parametrize("rest", [b"", b" HTTP/1.1\r\n\r\n"])
def test_a_url_that_takes_the_room_of_the_headers_is_named(rest: bytes, size: int) -> None:
    sent = b"GET /?%b%b" % (b"x" * (URL_BYTES + HEADER_BYTES), rest)
    events = _fed(*(sent[at : at + size] for at in range(0, len(sent), size)))
    (refusal,) = [event for event in events if isinstance(event, Refusal)]
    assert (refusal.code, str(URL_BYTES) in refusal.message) == ("url_too_long", True)


@pytest.mark.parametrize("size", [1000, 4096])
def test_a_head_within_its_limits_is_read_after_another_request_too(size: int) -> None:
    headers = b"".join(b"x-%d: %b\r\n" % (at, b"y" * 120) for at in range(250))
    stream = REQUESTS["POST"][0] * 20 + b"GET / HTTP/1.1\r\n%b\r\n" % headers
    events = _fed(*(stream[at : at + size] for at in range(0, len(stream), size)))
    assert events.count(END) == 21


@pytest.mark.parametrize("endless", [b"0\r\nx: ", b"0\r\n", b"5;"], ids=["a trailer", "trailers", "an extension"])
def test_endless_framing_is_refused(endless: bytes) -> None:
    parser = _parser()
    parser.feed(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n" + endless)
    junk = b"y: y\r\n" * 500 if endless == b"0\r\n" else b"y" * 3000
    events = [event for _ in range(20) for event in parser.feed(junk)]
    assert [event.code for event in events if isinstance(event, Refusal)] == ["malformed_request"]
    assert parser.phase == FAILED


def test_a_long_body_in_short_chunks_is_read() -> None:
    parser = _parser()
    parser.feed(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n")
    body = [event for _ in range(300) for event in parser.feed(b"1\r\nx\r\n" * 500) if isinstance(event, bytes)]
    assert len(b"".join(body)) == 150_000
    assert parser.feed(b"0\r\n\r\n") == [END]
    assert parser.phase == IDLE


def test_bytes_after_the_last_request_of_a_connection_are_dropped() -> None:
    events = _fed(b"GET / HTTP/1.1\r\nconnection: close\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n")
    assert [type(event) for event in events] == [RequestHead, type(END)]
