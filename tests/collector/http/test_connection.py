"""Connections over real sockets, with slow, loud, greedy and old-fashioned clients."""

import contextlib
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pytest

from tests.running import PATIENCE_SECONDS, Collector, Response, eventually, read_response, running

MOST_CONNECTIONS = 16
URL_BYTES = 1024
MOST_HEAD = URL_BYTES + (32 << 10)
LATE_SECONDS = 2.5
"""Longer than the timeouts for headers and bodies in these tests."""
SETTINGS = """
[server]
port = {port}
workers = {workers}
grace_seconds = 1
[limits]
header_seconds = 1
body_seconds = 1
url_bytes = 1024
event_bytes = 131072
body_bytes = 262144
connections = 16
[[property]]
portal_id = 33167
prop_id = 564990801
origins = ["https://shop.example.com"]
redirect_hosts = ["shop.example.com"]
"""
TARGET = b"/event?portal_id=33167&prop_id=564990801&resp_type="
EVENT = b'{"ea":"view","ec":"product","sid":6320,"aid":"a-1","uid":"%b"}'


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A collector with one worker and short timeouts."""
    with running(tmp_path_factory.mktemp("connections"), workers=1, settings=SETTINGS) as collector:
        yield collector


class Wire(NamedTuple):
    """A connection, and the stream of its responses."""

    socket: socket.socket
    stream: BinaryIO

    def send(self, data: bytes) -> None:
        """Send all of it, or less if the server has responded and closed already."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def read(self) -> Response:
        """The next response."""
        return read_response(self.stream.readline, self.stream.read)

    def ask(self, data: bytes) -> Response:
        """The response to a request."""
        self.send(data)
        return self.read()

    @property
    def is_closed(self) -> bool:
        """Wait for the end of the connection; False if more bytes come."""
        return self.stream.read(1) == b""


@contextmanager
def _wire(collector: Collector) -> Iterator[Wire]:
    with (
        socket.create_connection(("127.0.0.1", collector.port), timeout=PATIENCE_SECONDS) as connection,
        connection.makefile("rb") as stream,
    ):
        yield Wire(connection, stream)


def _post(
    uid: bytes = b"u-1",
    *headers: bytes,
    face: bytes = b"json",
    version: bytes = b"1.1",
    length: int | None = None,
    body: bytes | None = None,
) -> bytes:
    """A complete request, unless `length` is greater than its body."""
    body = EVENT % uid if body is None else body
    lines = [b"POST %b%b HTTP/%b" % (TARGET, face, version), b"host: x", *headers]
    lines.append(b"content-length: %d" % (len(body) if length is None else length))
    return b"\r\n".join([*lines, b"", body])


def _chunked(uid: bytes, *trailers: bytes) -> bytes:
    body = EVENT % uid
    head = [b"POST %bjson HTTP/1.1" % TARGET, b"host: x", b"transfer-encoding: chunked", b"", b""]
    return b"\r\n".join([*head[:-1], b"%x" % len(body), body, b"0", *trailers, b"", b""])


def _uids(collector: Collector) -> list[str]:
    return [record["event"]["uid"] for record in collector.stored()]


# Slow


def test_headers_that_do_not_arrive_in_time_get_408(collector: Collector) -> None:
    head = b"POST / HTTP/1.1\r\nhost: x\r\n"
    for wire in _all_sent(collector, [b"", b"P", b"POST /event", b"\r\n\r\n", head, head + b"\r"]):
        response = wire.read()
        assert (response.status, response.headers["connection"]) == (408, "close")
        assert list(response.json()) == ["code", "message"]
        assert response.headers["cache-control"] == "no-store"
        assert wire.is_closed


def _all_sent(collector: Collector, requests: list[bytes]) -> Iterator[Wire]:
    """A connection for every request. All are sent before the first response is read."""
    with ExitStack() as stack:
        wires = [stack.enter_context(_wire(collector)) for _ in requests]
        for wire, request in zip(wires, requests, strict=True):
            wire.send(request)
        yield from wires


@pytest.mark.parametrize("drop", [b"\r\n", b"x"])
def test_headers_that_come_byte_by_byte_do_not_extend_the_deadline(collector: Collector, drop: bytes) -> None:
    with _wire(collector) as wire:
        while not select.select([wire.socket], [], [], 0.1)[0]:
            wire.send(drop)
        assert wire.read().status in (400, 408)


def test_line_breaks_alone_do_not_keep_a_connection_open(collector: Collector) -> None:
    with _wire(collector) as wire:
        assert wire.ask(_post()).status == 200
        wire.send(b"\r\n")
        assert wire.read().status == 408
        assert wire.is_closed


@pytest.mark.parametrize("body", [b"", b"{"])
def test_a_body_that_does_not_arrive_in_time_gets_408_in_its_response_type(collector: Collector, body: bytes) -> None:
    kinds = {b"json": "application/json", b"javascript": "application/json", b"pixel": "image/gif"}
    requests = [_post(face=face, body=body, length=100) for face in kinds]
    for wire, kind in zip(_all_sent(collector, requests), kinds.values(), strict=True):
        response = wire.read()
        assert (response.status, response.headers["content-type"]) == (408, kind)
        assert response.headers["connection"] == "close"
        assert wire.is_closed


def test_a_click_whose_body_is_late_is_redirected(collector: Collector) -> None:
    face = b"redirect&redirect_url=https%3A%2F%2Fshop.example.com%2F"
    with _wire(collector) as wire:
        response = wire.ask(_post(face=face, body=b"{", length=100))
        assert (response.status, response.headers["location"]) == (302, "https://shop.example.com/")
        assert wire.is_closed


def test_a_body_that_comes_byte_by_byte_does_not_extend_the_deadline(collector: Collector) -> None:
    with _wire(collector) as wire:
        wire.send(_post(body=b"{", length=10_000))
        while not select.select([wire.socket], [], [], 0.1)[0]:
            wire.send(b" ")
        assert wire.read().status == 408


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(_post() * 100_000, id="endless requests"),
        pytest.param(_post(b"", b"connection: close", body=b"[%b]" % b",".join([b"{}"] * 1000)), id="one last request"),
    ],
)
def test_a_client_that_reads_no_responses_is_disconnected(collector: Collector, sent: bytes) -> None:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", collector.port))
        eventually(lambda: _is_held(collector, connection), "the connection is accepted")
        _send_until_stuck(connection, sent)
        eventually(lambda: not _is_held(collector, connection), "the connection is cut")


def test_a_client_that_reads_no_responses_is_disconnected_even_if_it_sends_more_requests(collector: Collector) -> None:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", collector.port))
        for _ in range(120):  # responses of 110 KB, one after the other
            connection.sendall(_post(body=b"[%b]" % b",".join([b"{}"] * 1000)))
            time.sleep(0.02)
        eventually(lambda: not _is_held(collector, connection), "the connection is cut")


def _send_until_stuck(connection: socket.socket, data: bytes) -> None:
    connection.settimeout(0.2)
    with contextlib.suppress(TimeoutError, ConnectionError):
        connection.sendall(data)


def _is_held(collector: Collector, connection: socket.socket) -> bool:
    """Whether the worker still holds its side. The kernel may keep a closed connection for a client that is away."""
    (worker,) = collector.workers()
    return connection.getsockname() in [each.raddr for each in worker.net_connections("tcp")]


# Loud


@pytest.mark.parametrize("ends", [b"0\r\nx: ", b"0\r\n", b"5;"], ids=["one trailer", "trailers", "an extension"])
def test_a_body_without_an_end_is_refused_before_it_fills_the_memory(collector: Collector, ends: bytes) -> None:
    before = collector.workers()[0].memory_info().rss
    junk = b"y: %b\r\n" % (b"y" * 991) if ends == b"0\r\n" else b"y" * 1000
    with _wire(collector) as wire:
        wire.send(b"POST %bjson HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n" % TARGET + ends)
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                wire.socket.sendall(junk * 100)
            pytest.fail("100 MB of it were read")
    assert collector.workers()[0].memory_info().rss - before < 16 << 20


def test_a_refused_request_with_a_malformed_body_gets_one_response(collector: Collector) -> None:
    with _wire(collector) as wire:
        head = b"POST /nope HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        assert wire.ask(head).status == 404
        wire.send(b"no chunk\r\n")
        assert wire.is_closed


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([b"x: " + b"y" * MOST_HEAD], id="one"),
        pytest.param([b"x-%d: %b" % (number, b"y" * 150) for number in range(250)], id="many"),
        pytest.param([b"x-%d: y" % number for number in range(400)], id="more than are read"),
    ],
)
@pytest.mark.parametrize("size", [1000, 1 << 20], ids=["in pieces", "at once"])
def test_headers_over_their_limit_get_431(collector: Collector, headers: list[bytes], size: int) -> None:
    request = _post(b"loud", *headers)
    with _wire(collector) as wire:
        for at in range(0, len(request), size):
            wire.send(request[at : at + size])
        response = wire.read()
        assert (response.status, response.headers["connection"]) == (431, "close")
        assert list(response.json()) == ["code", "message"]
    assert "loud" not in _uids(collector)


def test_headers_within_their_limit_are_read(collector: Collector) -> None:
    with _wire(collector) as wire:
        assert wire.ask(_post(b"u-1", *[b"x-%d: %b" % (number, b"y" * 120) for number in range(250)])).status == 200


def test_headers_without_an_end_get_431_before_they_fill_the_memory(collector: Collector) -> None:
    with _wire(collector) as wire:
        wire.send(b"POST / HTTP/1.1\r\nx: ")
        for _ in range(60):
            wire.send(b"y" * 1000)
            if select.select([wire.socket], [], [], 0.01)[0]:
                break
        assert wire.read().status == 431


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / FTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nx : y\r\n\r\n",
        b"GET nowhere HTTP/1.1\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: ten\r\n\r\n",
        b"POST %bjson HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nten\r\n" % TARGET,
    ],
)
def test_malformed_http_gets_400_in_json(collector: Collector, sent: bytes) -> None:
    with _wire(collector) as wire:
        response = wire.ask(sent)
        assert (response.status, response.headers["content-type"]) == (400, "application/json")
        assert list(response.json()) == ["code", "message"]
        assert wire.is_closed


@pytest.mark.parametrize(
    "headers",
    [
        [b"transfer-encoding: chunked"],
        [b"content-length: 1"],
        [b"transfer-encoding: identity"],
        [b"transfer-encoding: chunked, identity"],
        [b"transfer-encoding : chunked"],
        [b"transfer-encoding: xchunked"],
    ],
)
def test_a_body_with_two_lengths_is_refused(collector: Collector, headers: list[bytes]) -> None:
    with _wire(collector) as wire:
        assert wire.ask(_post(b"smuggled", *headers)).status == 400
        assert wire.is_closed
    assert "smuggled" not in _uids(collector)


def test_trailers_are_not_headers(collector: Collector) -> None:
    with _wire(collector) as wire:
        sent = _chunked(
            b"trailed", b"origin: https://evil.example.net", b"user-agent: trailer", b"content-encoding: br"
        )
        assert wire.ask(sent).status == 200
        assert wire.ask(_post(b"behind-trailers")).status == 200
    record = next(each for each in collector.stored() if each["event"]["uid"] == "trailed")
    assert record["user_agent"] is None


# Greedy


def test_a_connection_over_the_limit_gets_503_until_another_closes(tmp_path: Path) -> None:
    """The others are within a request, and have time for it: an idle one would give way."""
    patient = SETTINGS.replace("_seconds = 1\n", "_seconds = 100\n")
    with running(tmp_path, workers=1, settings=patient) as collector, ExitStack() as stack:
        wires = [stack.enter_context(_wire(collector)) for _ in range(MOST_CONNECTIONS)]
        for wire in wires:
            assert wire.ask(_post()).status == 200
            wire.send(_post()[:-1])
        refused = stack.enter_context(_wire(collector))
        response = refused.read()
        assert (response.status, response.headers["retry-after"], response.headers["connection"]) == (503, "1", "close")
        assert refused.is_closed
        assert wires[0].ask(_post()[-1:]).status == 200, "those that are there stay"
        stack.close()
        eventually(lambda: _is_served(collector), "there is room again")


def _is_served(collector: Collector) -> bool:
    with suppress(OSError), _wire(collector) as wire:
        return wire.ask(_post()).status == 200
    return False


@pytest.mark.parametrize("body", [b"", b"x" * 1000], ids=["head alone", "with a part of the body"])
def test_a_connection_closes_after_a_body_that_is_too_large(collector: Collector, body: bytes) -> None:
    with _wire(collector) as wire:
        response = wire.ask(_post(body=body, length=1 << 20))
        assert (response.status, response.headers["connection"]) == (413, "close")
        assert wire.is_closed


# Proper, and old-fashioned


def test_a_connection_idle_for_longer_than_the_header_timeout_stays_open(collector: Collector) -> None:
    with _wire(collector) as wire:
        assert wire.ask(_post()).status == 200
        time.sleep(LATE_SECONDS)
        assert wire.ask(_post()).status == 200


def test_pipelined_requests_get_responses_in_order(collector: Collector) -> None:
    uids = [b"pipelined-%d" % number for number in range(100)]
    with _wire(collector) as wire:
        wire.send(b"".join(_chunked(uid) if number % 3 == 0 else _post(uid) for number, uid in enumerate(uids)))
        ids = [wire.read().headers["x-event-id"] for _ in uids]
    stored = {record["id"]: record["event"]["uid"] for record in collector.stored()}
    assert [stored[each] for each in ids] == [uid.decode() for uid in uids]


def test_pipelined_requests_with_large_bodies_all_get_responses(collector: Collector) -> None:
    body = EVENT % b"large" + b" " * 60_000
    with _wire(collector) as wire:
        wire.send(_post(body=body) * 8)
        assert [wire.read().status for _ in range(8)] == [200] * 8


@pytest.mark.parametrize(
    "sent",
    [pytest.param(b"GET /x HTTP/1.1\r\n\r\n" * 500_000, id="short"), pytest.param(_post() * 50_000, id="events")],
)
def test_a_client_that_sends_thousands_of_requests_ahead_does_not_delay_others(
    collector: Collector, sent: bytes
) -> None:
    (worker,) = collector.workers()
    before = worker.memory_info().rss
    with _wire(collector) as ahead, _wire(collector) as other:
        _send_until_stuck(ahead.socket, sent)
        begun = time.monotonic()
        assert other.ask(_post()).status == 200
        assert time.monotonic() - begun < 1
        assert worker.memory_info().rss - before < 16 << 20


def test_requests_sent_ahead_get_responses_in_order(collector: Collector) -> None:
    uids = [b"ahead-%d" % number for number in range(3000)]
    with _wire(collector) as wire:
        sender = threading.Thread(target=wire.send, args=(b"".join(map(_post, uids)),))
        sender.start()
        ids = [wire.read().headers["x-event-id"] for _ in uids]
        sender.join()
    stored = {record["id"]: record["event"]["uid"] for record in collector.stored()}
    assert [stored[each] for each in ids] == [uid.decode() for uid in uids]


def test_a_request_before_malformed_http_still_gets_its_response(collector: Collector) -> None:
    with _wire(collector) as wire:
        assert wire.ask(_post(b"in-front") + b"hello\r\n\r\n").status == 200
        assert wire.read().status == 400
        assert wire.is_closed
    assert "in-front" in _uids(collector)


def test_a_client_that_waits_for_100_continue_gets_it(collector: Collector) -> None:
    request = _post(b"expected", b"expect: 100-continue")
    head, _, body = request.partition(b"\r\n\r\n")
    with _wire(collector) as wire:
        wire.send(head + b"\r\n\r\n")
        assert wire.stream.readline() == b"HTTP/1.1 100 Continue\r\n"
        assert wire.stream.readline() == b"\r\n"
        assert wire.ask(body).status == 200
    assert "expected" in _uids(collector)


def test_a_client_that_waits_for_100_continue_is_refused_before_it_sends_the_body(collector: Collector) -> None:
    with _wire(collector) as wire:
        assert wire.ask(_post(b"", b"expect: 100-continue", body=b"", length=1 << 20)).status == 413


@pytest.mark.parametrize("headers", [[], [b"connection: keep-alive"]])
def test_an_http_1_0_request_gets_its_response_and_the_connection_closes(
    collector: Collector, headers: list[bytes]
) -> None:
    with _wire(collector) as wire:
        response = wire.ask(_post(b"old", *headers, version=b"1.0"))
        assert (response.status, response.headers["connection"]) == (200, "close")
        assert int(response.headers["content-length"]) == len(response.body)
        assert wire.is_closed


def test_a_connection_closes_when_the_client_asks_for_it(collector: Collector) -> None:
    with _wire(collector) as wire:
        response = wire.ask(_post(b"u-1", b"connection: close"))
        assert (response.status, response.headers["connection"]) == (200, "close")
        assert wire.is_closed


def test_an_offer_of_http_2_is_ignored(collector: Collector) -> None:
    """Java's client offers it in every request over plain HTTP."""
    offer = [
        b"connection: Upgrade, HTTP2-Settings",
        b"upgrade: h2c",
        b"http2-settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
    ]
    with _wire(collector) as wire:
        for uid in (b"java-1", b"java-2"):
            assert wire.ask(_post(uid, *offer)).status == 200
    assert {"java-1", "java-2"} <= set(_uids(collector))


def test_a_client_that_disconnects_in_the_middle_leaves_nothing(collector: Collector) -> None:
    with _wire(collector) as wire:
        wire.send(_post(b"left", length=200))
    with _wire(collector) as wire:
        assert wire.ask(_post(b"stayed")).status == 200
    assert "left" not in _uids(collector)


def test_an_event_is_stored_even_if_the_client_does_not_wait_for_the_response(collector: Collector) -> None:
    sent = [f"gone-{number}" for number in range(50)]
    for uid in sent:
        with _wire(collector) as wire:
            wire.send(_post(uid.encode()))
    eventually(lambda: set(sent) <= set(_uids(collector)), "all of them are stored")
