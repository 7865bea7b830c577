"""The stream over real connections, from real logs."""

import asyncio
import json
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.types import Scope

from collector.errors import Rejected
from collector.ops.console.api.refusals import EXCEPTION_HANDLERS
from collector.ops.console.live.live import Live
from collector.ops.console.live.messages import Sources
from collector.ops.console.live.stream import MOST_STREAMS, Streams
from collector.ops.console.live.tail import Tail, Tick
from collector.ops.console.rows.redaction import HIDDEN, Redaction
from collector.ops.console.rows.rows import EventRow
from collector.server.admin import admin_server
from collector.server.admin_connection import STALL_SECONDS, AdminConnection, AdminConnections
from tests.collector.ops.console.quick_loop import run_quickly
from tests.collector.ops.console.written_node import NOTHING_HIDDEN, USER_IDS_HIDDEN, Node, event
from tests.collector.silent_transport import SilentTransport
from tests.running import PATIENCE_SECONDS


class Site(NamedTuple):
    """A server of one stream endpoint."""

    port: int
    live: Live

    def open(self, query: str = "", headers: str = "") -> "Viewer":
        """Ask for a stream."""
        return Viewer(self.port, query, headers)


class Viewer:
    """A client that reads its stream when it wants."""

    def __init__(self, port: int, query: str, headers: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
        self._socket.sendall(f"GET /api/stream?{query} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n".encode())
        self._file = self._socket.makefile("rb")
        self.status = int(self._file.readline().split()[1])
        lines = iter(lambda: self._file.readline().decode().strip(), "")
        self.headers = dict(line.lower().split(": ", 1) for line in lines)

    def body(self) -> Any:
        """The JSON of a refusal."""
        return json.loads(self._file.read(int(self.headers["content-length"])))

    def next(self, event: str) -> tuple[Any, str]:
        """The next message of this name: its data, and its id."""
        name = last_id = ""
        for line in self._file:
            key, _, value = line.decode().strip().partition(": ")
            if key == "event":
                name = value
            elif key == "id":
                last_id = value
            elif key == "data" and name == event:
                return json.loads(value), last_id
        raise AssertionError(f"the stream ended before {event}")

    def close(self) -> None:
        """Leave."""
        self._file.close()
        self._socket.close()


@contextmanager
def serving(
    node: Node, redaction: Redaction = NOTHING_HIDDEN, is_let_in: Callable[[Scope], bool] = lambda _: True
) -> Iterator[Site]:
    """A server of the stream of a node."""
    live = Live(node.tail(redaction=redaction), redaction, list)
    streams = Streams(Sources(live, dict, dict, list), is_let_in)
    app = Starlette(routes=[streams.route()], exception_handlers=EXCEPTION_HANDLERS)
    listener = socket.create_server(("127.0.0.1", 0))
    servers: queue.Queue[uvicorn.Server] = queue.Queue()

    async def serve() -> None:
        server = admin_server(AdminConnections(app, listener.getsockname()))
        servers.put(server)
        await server.serve(sockets=[listener])

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        yield Site(listener.getsockname()[1], live)
    finally:
        servers.get(timeout=PATIENCE_SECONDS).should_exit = True
        thread.join(PATIENCE_SECONDS)
        listener.close()


def test_an_event_is_seen_as_it_arrives(node: Node) -> None:
    node.write([event(ea="before")])
    with serving(node) as site:
        viewer = site.open("topics=live,now&kind=stored")
        assert viewer.status == 200
        assert viewer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert (viewer.headers["cache-control"], viewer.headers["x-accel-buffering"]) == ("no-store", "no")
        assert viewer.next("hello")[0]["ring"] == {"first": 1, "last": 1}
        assert viewer.next("rows")[0][0][7] == "before"
        node.write([event(ea="after")])
        rows, last_id = viewer.next("rows")
        assert ([row[7] for row in rows], last_id) == (["after"], f"{site.live.boot}.2")
        coverage, _ = viewer.next("coverage")
        assert (coverage["seen"], coverage["scanned"], coverage["matched"], coverage["shown"]) == (1, 1, 1, 1)
        viewer.close()
        node.write([event(ea="missed")])
        again = site.open("topics=live", headers=f"last-event-id: {last_id}\r\n")
        assert [row[7] for row in again.next("rows")[0]] == ["missed"]
        again.close()


def test_a_text_is_searched_in_lines_that_were_there_before(node: Node) -> None:
    node.write([event(ea="a", extra={"note": "blue whale"}), event(ea="b")])
    node.write([event(ea="c", uid="whale-watcher")])
    with serving(node) as site:
        viewer = site.open("q=whale")
        assert [row[7] for row in viewer.next("rows")[0]] == ["a", "c"]
        viewer.close()


def test_a_hidden_value_can_neither_be_seen_nor_searched(node: Node) -> None:
    node.write([event(ea="a", uid="u-secret")])
    with serving(node, USER_IDS_HIDDEN) as site:
        viewer = site.open("q=u-secret")
        node.write([event(ea="b", uid="u-secret", extra={"note": "u-secret"})])
        rows, _ = viewer.next("rows")
        assert [(row[7], row[9]) for row in rows] == [("b", HIDDEN)]
        viewer.close()
        refused = site.open("uid=u-secret")
        assert (refused.status, refused.body()["code"]) == (400, "redacted")
        refused.close()


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("speed=9", "no parameter 'speed'; expected kind, "),
        ("topics=live,jobs", "topics: expected live and now"),
        ("after=12", "after: expected the id"),
        ("after=0123abcd.99999999999999999", "after: expected the id"),
        ("kind=all", "kind: Invalid enum value 'all'"),
        ("ea=" + "x" * 201, "ea: expected at most 200 characters"),
    ],
)
def test_a_parameter_out_of_bounds_is_refused(node: Node, query: str, says: str) -> None:
    with pytest.raises(Rejected, match=says) as error:
        asyncio.run(_ask(_streams(Live(node.tail(), NOTHING_HIDDEN, list)), query))
    assert error.value.refusal.code == "bad_parameter"


def _streams(live: Live) -> Streams:
    return Streams(Sources(live, dict, dict, list), lambda _: True)


async def _ask(streams: Streams, query: str) -> None:
    await streams({"type": "http", "headers": [], "query_string": query.encode()}, _nothing, _accept)


async def _nothing() -> Any:
    await asyncio.get_running_loop().create_future()


async def _accept(_: Any) -> None:
    """Taken."""


def test_one_stream_too_many_is_refused_until_another_one_ends(node: Node) -> None:
    with serving(node) as site:
        viewers = [site.open() for _ in range(MOST_STREAMS)]
        assert {viewer.status for viewer in viewers} == {200}
        refused = site.open()
        assert (refused.status, refused.headers["retry-after"]) == (503, "5")
        assert refused.body() == {
            "code": "unavailable",
            "message": "20 viewers are open already: close one, then try again",
        }
        for viewer in (viewers.pop(), refused):
            viewer.close()
        while (viewer := site.open()).status != 200:
            viewer.close()
        for each in (*viewers, viewer):
            each.close()


def test_a_stop_says_goodbye(node: Node) -> None:
    with serving(node) as site:
        viewer = site.open()
        viewer.next("hello")
    assert viewer.next("bye")[0] == {"reason": "stop", "retry_ms": 1000}
    viewer.close()


def test_a_stream_whose_sender_must_log_in_again_ends_and_another_one_goes_on(node: Node) -> None:
    known = {b"name=one", b"name=two"}
    with serving(node, is_let_in=lambda scope: dict(scope["headers"])[b"cookie"] in known) as site:
        one, two = (site.open(headers=f"cookie: name={name}\r\n") for name in ("one", "two"))
        one.next("hello")
        known.remove(b"name=one")
        assert one.next("bye")[0] == {"reason": "log-in needed", "retry_ms": 1000}
        with pytest.raises(AssertionError, match="the stream ended"):
            one.next("rows")
        node.write([event(ea="after")])
        assert two.next("rows")[0][0][7] == "after"
        one.close()
        two.close()


def test_nothing_is_read_while_nobody_looks(node: Node) -> None:
    class Counted(Tail):
        ticks = 0

        def tick(self, budget: float = 0.0) -> Tick:
            self.ticks += 1
            return super().tick(budget)

    async def check() -> None:
        tail = Counted(node.log_directory, node.letter_directory, NOTHING_HIDDEN)
        live = Live(tail, NOTHING_HIDDEN, list)
        assert tail.ticks == 0
        node.write([event(ea="a")])
        async with live.watched(), live.watched():
            assert live.ring.last == 1
        await _ended(live)
        ticks = tail.ticks
        node.write([event(ea="b")])
        async with live.watched():
            assert (tail.ticks, live.ring.last, live.seen) == (ticks + 1, 2, 1)
        await _ended(live)

    asyncio.run(check())


def test_a_stream_that_is_left_while_it_begins_takes_no_row_along(node: Node) -> None:
    class Slow(Tail):
        begun, may_end = threading.Event(), threading.Event()

        def tick(self, budget: float = 0.0) -> Tick:
            found = super().tick(budget)
            self.begun.set()
            self.may_end.wait()
            return found

    async def watch(live: Live) -> None:
        async with live.watched():
            return

    async def check() -> None:
        tail = Slow(node.log_directory, node.letter_directory, NOTHING_HIDDEN)
        live = Live(tail, NOTHING_HIDDEN, list)
        node.write([event(ea="a")])
        left = asyncio.create_task(watch(live))
        await asyncio.to_thread(tail.begun.wait)
        left.cancel()
        await asyncio.wait([left])
        tail.may_end.set()
        async with live.watched():
            assert [row.ea for row in live.ring.after(0)] == ["a"]
        await _ended(live)

    asyncio.run(check())


async def _ended(live: Live) -> None:
    assert live._ticking
    await live._ticking


def test_refusals_without_a_record_are_rows_and_counted(node: Node) -> None:
    async def check() -> None:
        refused = [EventRow(received_ms=1, kind="rejected", property="5/6", code="rate_limited")]
        live = Live(node.tail(), NOTHING_HIDDEN, lambda: [refused.pop()] if refused else [])
        node.write([event(ea="a")])
        async with live.watched():
            assert [row.code or row.ea for row in live.ring.after(0)] == ["rate_limited", "a"]
            assert live.seen == 1

    asyncio.run(check())


def test_a_stream_ends_if_its_rows_can_not_come_any_more(node: Node) -> None:
    class Faulty(Tail):
        def tick(self, budget: float = 0.0) -> Tick:
            raise ZeroDivisionError

    live = Live(Faulty(node.log_directory, node.letter_directory, NOTHING_HIDDEN), NOTHING_HIDDEN, list)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(_ask(_streams(live), ""))


def test_a_reader_that_takes_nothing_has_one_message_made_for_it(node: Node) -> None:
    sent: list[bytes] = []

    async def check() -> None:
        gate, is_blocked = asyncio.Event(), asyncio.Event()

        async def send(message: Any) -> None:
            sent.append(message.get("body", b""))
            if b"event: rows" in sent[-1] and not gate.is_set():
                is_blocked.set()
                await gate.wait()

        live = Live(node.tail(), NOTHING_HIDDEN, list)
        streams = _streams(live)
        node.write([event(ea="a")])
        request = {"type": "http", "headers": [], "query_string": b""}
        serving = asyncio.create_task(streams(request, _nothing, send))
        await is_blocked.wait()
        count, last = len(sent), live.ring.last
        for number in range(5):
            node.write([event(ea=f"{number}")] * 100)
            while live.ring.last == last:
                await asyncio.sleep(0.01)
            last = live.ring.last
        assert len(sent) == count
        gate.set()
        while len(sent) == count:
            await asyncio.sleep(0.01)
        serving.cancel()
        await asyncio.wait([serving])

    asyncio.run(check())


class _Stuck(SilentTransport):
    """A transport whose client reads nothing."""

    is_aborted = False

    def abort(self) -> None:
        self.is_aborted = True


@pytest.mark.parametrize(
    ("seconds", "is_resumed", "is_aborted"), [(0.9, False, False), (1.1, False, True), (1.1, True, False)]
)
def test_a_client_that_reads_nothing_for_long_loses_its_connection(
    seconds: float, is_resumed: bool, is_aborted: bool
) -> None:
    async def check() -> bool:
        connections = AdminConnections(Starlette(), ("127.0.0.1", 0))
        connection = AdminConnection(connections, uvicorn.server.ServerState())
        transport = _Stuck()
        connection.connection_made(transport)
        connection.pause_writing()
        if is_resumed:
            connection.resume_writing()
        await asyncio.sleep(STALL_SECONDS * seconds)
        return transport.is_aborted

    assert run_quickly(check()) is is_aborted
