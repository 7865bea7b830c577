"""Requests and responses on a connection: early refusals, bytes in flight, eviction, and a lingering close."""

import asyncio
import tracemalloc
from collections.abc import Awaitable, Callable

import pytest

from collector.http.connection import Connection
from collector.settings import Limits
from tests.collector.http.recorder import BODY_LIMIT, Worker


def _head(length: int, path: bytes = b"/event", *more: bytes) -> bytes:
    return b"\r\n".join([b"POST %b HTTP/1.1" % path, b"host: x", b"content-length: %d" % length, *more, b"", b""])


def _run(use: Callable[[Worker], Awaitable[None]], limits: Limits | None = None) -> None:
    async def run() -> None:
        worker = Worker(limits)
        await use(worker)
        worker.close()

    asyncio.run(run())


@pytest.mark.parametrize("sizes", [[1], [9], [100], [4096], [50_000]], ids=str)
def test_a_body_is_complete_in_whatever_pieces_it_arrives(sizes: list[int]) -> None:
    async def use(worker: Worker) -> None:
        body = bytes(range(33, 123)) * 200
        sent = _head(len(body)) + body
        wire = worker.connect()
        at = 0
        while at < len(sent):
            wire.send(sent[at : at + sizes[0]])
            at += sizes[0]
            for _ in range(20):
                await asyncio.sleep(0)
        assert worker.recorder.taken == [body]
        assert wire.transport.statuses == [200]
        assert worker.in_flight.bytes == 0

    _run(use)


def test_a_body_in_the_shortest_chunks_takes_no_more_memory_than_is_counted() -> None:
    async def use(worker: Worker) -> None:
        wire = worker.connect()
        wire.send(b"POST /event HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n")
        tracemalloc.start()
        try:
            for _ in range(80):
                wire.send(b"2\r\nxy\r\n" * 500)
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert worker.in_flight.bytes == 80_000
        assert held < 2 * worker.in_flight.bytes
        wire.send(b"0\r\n\r\n")
        assert worker.recorder.taken == [b"xy" * 40_000]

    _run(use)


@pytest.mark.parametrize(
    "sent",
    [
        _head(3000) + b"x" * 3000,
        _head(BODY_LIMIT) + b"x" * BODY_LIMIT,
        _head(1, b"/event?%b" % (b"x" * 20_000), b"x: %b" % (b"x" * 20_000)) + b"1",
    ],
    ids=["a short body", "a long body", "a long head"],
)
def test_an_idle_connection_holds_nothing_of_its_last_request(sent: bytes) -> None:
    async def use(worker: Worker) -> None:
        wire = worker.connect()
        wire.send(_head(1) + b"1")
        tracemalloc.start()
        try:
            wire.send(sent)
            for _ in range(20):
                await asyncio.sleep(0)
            assert wire.transport.statuses == [200, 200]
            worker.recorder.taken.clear()
            worker.recorder.requests.clear()
            wire.transport.written = b""
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert held < 3000

    _run(use)


def test_few_bytes_that_were_sent_ahead_hold_no_more_memory_than_is_counted() -> None:
    async def use(worker: Worker) -> None:
        wire = worker.connect()
        long = b"POST /event HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1;%b\r\n?\r\n0\r\n\r\n" % (b"x" * 50_000)
        tracemalloc.start()
        try:
            wire.send(long + (_head(1, b"/event", b"x: %b" % (b"x" * 60)) + b"?") * 50)
            for _ in range(20):
                await asyncio.sleep(0)
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert 0 < worker.in_flight.bytes < 4096
        assert held < 50_000

    _run(use)


def test_a_refusal_that_needs_no_body_waits_for_a_short_one_and_keeps_the_connection() -> None:
    async def use(worker: Worker) -> None:
        wire = worker.connect()
        wire.send(_head(5, b"/refused"))
        assert wire.transport.statuses == []
        wire.send(b"12345" + _head(1) + b"1")
        assert wire.transport.statuses == [403, 200]
        assert not wire.transport.closed

    _run(use)


def test_requests_after_a_body_that_was_dropped_are_parsed_in_pieces_as_any() -> None:
    async def use(worker: Worker) -> None:
        wire = worker.connect()
        wire.send(_head(60_000, b"/refused"))
        for _ in range(60):
            wire.send(b"x" * 999)
        wire.send(b"x" * 60 + (_head(1, b"/event", b"x: %b" % (b"x" * 60)) + b"1") * 200)
        for _ in range(20):
            await asyncio.sleep(0)
        assert wire.transport.statuses == [403, *[200] * 200]

    _run(use)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (_head(1 << 20, b"/refused"), 403),
        (_head(5, b"/refused", b"expect: 100-continue"), 403),
        (_head(BODY_LIMIT + 1), 413),
    ],
)
def test_a_long_body_is_refused_at_its_head(head: bytes, status: int) -> None:
    async def use(worker: Worker) -> None:
        wire = worker.connect()
        wire.send(head)
        assert wire.transport.statuses == [status]
        assert b"connection: close\r\n" in wire.transport.written
        assert worker.recorder.taken == []

    _run(use)


def test_a_connection_that_closes_before_its_request_ends_is_drained_until_the_client_has_read() -> None:
    async def use(worker: Worker) -> None:
        wire = worker.connect()
        wire.send(_head(BODY_LIMIT + 1))
        assert (wire.transport.ended, wire.transport.closed) == (True, False)
        for _ in range(10):
            wire.send(b"x" * 100_000)
        assert wire.transport.statuses == [413]
        assert worker.in_flight.bytes == 0
        wire.connection.deadline.at = 0
        worker.sweep()
        assert wire.transport.closed

    _run(use)


def test_bodies_over_the_limit_of_bytes_in_flight_are_shed_and_release_their_bytes() -> None:
    async def use(worker: Worker) -> None:
        half = BODY_LIMIT - 1
        worker.in_flight.reserve(worker.connections.limits.in_flight_bytes - 150_000)
        before = worker.in_flight.bytes
        first, second = worker.connect(), worker.connect()
        for wire in (first, second):
            wire.send(_head(half + 1) + b"x" * half)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert (first.transport.statuses, second.transport.statuses) == ([], [503])
        first.send(b"x")
        assert first.transport.statuses == [200]
        assert worker.in_flight.bytes == before
        third = worker.connect()
        third.send(_head(half) + b"x" * half)
        for _ in range(20):
            await asyncio.sleep(0)
        assert third.transport.statuses == [200]

    _run(use, Limits(in_flight_bytes=8 << 20))


def test_a_client_that_disconnects_releases_its_bytes_in_flight() -> None:
    async def use(worker: Worker) -> None:
        wire = worker.connect()
        wire.send(_head(50_000) + b"x" * 20_000)
        for _ in range(20):
            await asyncio.sleep(0)
        assert worker.in_flight.bytes > 0
        wire.connection.connection_lost(None)
        assert worker.in_flight.bytes == 0

    _run(use)


def test_a_body_that_a_task_works_on_is_in_flight_until_the_task_ends_although_its_client_has_left() -> None:
    async def use(worker: Worker) -> None:
        for _ in range(3):
            wire = worker.connect()
            wire.send(_head(50_000) + b"?" * 50_000)
            assert len(worker.recorder.waiting) > 0
            wire.connection.connection_lost(None)
        assert worker.in_flight.bytes == 150_000
        worker.recorder.go_on()
        await asyncio.sleep(0)
        assert worker.in_flight.bytes == 0

    _run(use)


def test_work_for_a_client_that_has_left_is_told_so() -> None:
    async def use(worker: Worker) -> None:
        wire = worker.connect()
        wire.send(_head(1) + b"?")
        assert not worker.recorder.requests[0].is_gone
        wire.connection.connection_lost(None)
        assert worker.recorder.requests[0].is_gone
        worker.recorder.go_on()
        await asyncio.sleep(0)
        assert wire.transport.statuses == []

    _run(use)


def test_responses_keep_the_order_of_requests_and_nothing_is_read_while_two_wait() -> None:
    async def use(worker: Worker) -> None:
        wire = worker.connect()
        wire.send(_head(1) + b"?" + _head(5, b"/refused") + b"12345" + _head(1) + b"1")
        assert (wire.transport.statuses, wire.transport.paused) == ([], True)
        worker.recorder.go_on()
        await asyncio.sleep(0)
        assert (wire.transport.statuses, wire.transport.paused) == ([200, 403, 200], False)

    _run(use)


def test_a_task_that_fails_or_is_cancelled_is_a_refusal() -> None:
    async def use(worker: Worker) -> None:
        failing, cancelled = worker.connect(), worker.connect()
        failing.send(_head(1) + b"?")
        cancelled.send(_head(1) + b"?")
        worker.recorder.waiting[0].set_exception(OSError("no"))
        worker.recorder.waiting[1].cancel()
        await asyncio.sleep(0)
        assert [failing.transport.statuses, cancelled.transport.statuses] == [[503], [503]]

    _run(use)


def test_100_continue_is_sent_once_and_only_to_a_client_that_waits() -> None:
    async def use(worker: Worker) -> None:
        wire = worker.connect()
        wire.send(_head(2, b"/event", b"expect: 100-continue"))
        wire.connection.serve()
        assert wire.transport.written == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.send(b"ab")
        wire.send(_head(2, b"/event", b"expect: 100-continue") + b"ab")
        assert wire.transport.statuses == [100, 200, 200]

    _run(use)


def test_at_a_stop_connections_close_after_the_requests_that_were_sent_or_are_on_their_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("collector.http.connection._LINGER_SECONDS", 0)

    async def use(worker: Worker) -> None:
        idle, late, busy = worker.connect(), worker.connect(), worker.connect()
        busy.send(_head(1) + b"?")
        for wire in (idle, late, busy):
            wire.connection.shutdown()
        late.send(_head(1) + b"1")
        for _ in range(20):
            await asyncio.sleep(0)
        assert (idle.transport.closed, busy.transport.closed) == (True, False)
        assert late.transport.statuses == [200]
        assert b"connection: close\r\n" in late.transport.written
        assert late.transport.closed
        worker.recorder.go_on()
        await asyncio.sleep(0)
        assert busy.transport.statuses == [200]
        assert b"connection: close\r\n" in busy.transport.written
        assert busy.transport.closed

    _run(use)


def test_at_a_stop_a_request_that_has_arrived_in_part_or_in_this_turn_gets_its_response(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("collector.http.connection._LINGER_SECONDS", 0)

    async def use(worker: Worker) -> None:
        part, whole = worker.connect(), worker.connect()
        request = _head(1) + b"1"
        part.send(request[:9])
        for wire in (part, whole):
            wire.connection.shutdown()
        whole.connection.data_received(request)
        whole.connection._close_if_idle()
        assert whole.transport.statuses == [200]
        for _ in range(20):
            await asyncio.sleep(0)
        part.send(request[9:])
        for wire in (part, whole):
            assert wire.transport.statuses == [200]
            assert b"connection: close\r\n" in wire.transport.written
            assert wire.transport.closed

    _run(use)


# Room for connections


def test_at_the_limit_the_longest_idle_connection_makes_room() -> None:
    async def use(worker: Worker) -> None:
        wires = [worker.connect() for _ in range(3)]
        for idle_since, wire in zip((2.0, 1.0, 3.0), wires, strict=True):
            wire.connection.deadline.idle_since = idle_since
        wires[1].send(_head(1) + b"?")  # busy, so the next one is evicted
        worker.sweep()
        newest = worker.connect()
        assert [wire.transport.closed for wire in wires] == [True, False, False]
        assert newest.transport.statuses == []

    _run(use, Limits(connections=3))


def test_a_connection_that_makes_room_does_not_wait_until_its_client_has_read() -> None:
    async def use(worker: Worker) -> None:
        stuck = worker.connect()
        stuck.send(_head(1) + b"1")
        stuck.connection.pause_writing()
        worker.sweep()
        worker.connect()
        assert stuck.transport.aborted

    _run(use, Limits(connections=1))


def test_at_the_limit_with_none_idle_the_new_connection_is_refused_and_told() -> None:
    async def use(worker: Worker) -> None:
        wires = [worker.connect() for _ in range(3)]
        for wire in wires:
            wire.send(_head(1) + b"?")
        worker.sweep()
        newest = worker.connect()
        assert newest.transport.statuses == [503]
        assert (newest.transport.ended, newest.transport.closed) == (True, False)
        wires[0].connection.connection_lost(None)
        newest.connection.connection_lost(None)
        assert worker.connect().transport.statuses == []

    _run(use, Limits(connections=3))


@pytest.mark.parametrize("share", [50, 1000], ids=["share", "limit"])
def test_a_flood_of_connections_looks_at_each_that_was_idle_once(monkeypatch: pytest.MonkeyPatch, share: int) -> None:
    looks = 0

    def is_idle(connection: Connection) -> bool:
        nonlocal looks
        looks += 1
        return not connection._exchanges

    async def use(worker: Worker) -> None:
        wires = [worker.connect() for _ in range(50)]
        worker.sweep()
        for wire in wires:
            wire.send(_head(1) + b"?")
        monkeypatch.setattr(Connection, "is_idle", property(is_idle))
        for _ in range(50):
            worker.connect()
        assert looks == 50

    _run(use, Limits(connections=50, connections_per_address=share))


def test_no_address_holds_more_than_its_share_but_a_proxy() -> None:
    async def run() -> None:
        worker = Worker(Limits(connections=100, connections_per_address=2), proxy="198.51.100.9")
        mine = [worker.connect("192.0.2.1") for _ in range(3)]
        others = [worker.connect("192.0.2.2") for _ in range(2)]
        proxied = [worker.connect("198.51.100.9") for _ in range(9)]
        assert [wire.transport.statuses for wire in mine] == [[], [], [503]]
        assert not any(wire.transport.written for wire in [*others, *proxied])
        worker.sweep()
        assert worker.connect("192.0.2.1").transport.statuses == []
        assert [wire.transport.closed for wire in mine].count(True) == 1
        worker.close()

    asyncio.run(run())


def test_a_proxy_that_finds_all_connections_taken_is_not_said_to_have_too_many() -> None:
    async def run() -> None:
        worker = Worker(Limits(connections=2, connections_per_address=2), proxy="198.51.100.9")
        wires = [worker.connect("198.51.100.9") for _ in range(3)]
        assert wires[-1].transport.statuses == [503]
        (event,) = worker.notices.due(0.0)
        assert "too many connections" in str(event)
        assert "of one address" not in str(event)
        worker.close()

    asyncio.run(run())
