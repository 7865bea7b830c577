"""The deadlines of a connection, on a transport that only records calls."""

import asyncio
import math
from collections.abc import Awaitable, Callable

from collector.http.deadline import KEEP_ALIVE_SECONDS
from tests.collector.http.recorder import Wire, Worker

HEAD = b"POST /event HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n"


def _run(use: Callable[[Worker, Wire], Awaitable[None]]) -> None:
    async def run() -> None:
        worker = Worker()
        await use(worker, worker.connect())
        worker.close()

    asyncio.run(run())


def _left(wire: Wire) -> float:
    return wire.connection.deadline.at - asyncio.get_running_loop().time()


def test_the_time_for_headers_begins_with_the_connection() -> None:
    async def use(_: Worker, wire: Wire) -> None:
        first = wire.connection.deadline.at
        wire.send(HEAD[:9])
        assert wire.connection.deadline.at == first
        assert 9 < _left(wire) <= 10

    _run(use)


def test_the_time_for_a_body_begins_after_the_headers_and_is_not_extended() -> None:
    async def use(_: Worker, wire: Wire) -> None:
        wire.send(HEAD.replace(b": 1", b": 3"))
        deadline = wire.connection.deadline.at
        assert 19 < _left(wire) <= 20
        wire.send(b"{")
        assert wire.connection.deadline.at == deadline

    _run(use)


def test_a_complete_request_has_no_deadline_and_its_response_starts_the_keep_alive_time() -> None:
    async def use(worker: Worker, wire: Wire) -> None:
        wire.send(HEAD + b"?")
        assert wire.connection.deadline.at == math.inf
        worker.recorder.go_on()
        await asyncio.sleep(0)
        assert KEEP_ALIVE_SECONDS - 1 < _left(wire) <= KEEP_ALIVE_SECONDS

    _run(use)


def test_a_client_that_does_not_read_has_no_more_time_than_for_a_body() -> None:
    async def use(_: Worker, wire: Wire) -> None:
        wire.send(HEAD + b"1")
        wire.connection.pause_writing()
        assert 19 < _left(wire) <= 20

    _run(use)


def test_after_a_pause_of_writing_the_deadline_of_the_headers_is_restored() -> None:
    async def use(_: Worker, wire: Wire) -> None:
        wire.send(HEAD[:9])
        wire.connection.pause_writing()
        wire.connection.resume_writing()
        assert 9 < _left(wire) <= 10

    _run(use)


def test_after_a_pause_of_writing_the_keep_alive_time_is_restored() -> None:
    async def use(_: Worker, wire: Wire) -> None:
        wire.send(HEAD + b"1")
        wire.connection.pause_writing()
        wire.connection.resume_writing()
        assert KEEP_ALIVE_SECONDS - 1 < _left(wire) <= KEEP_ALIVE_SECONDS

    _run(use)


def test_a_complete_request_waits_while_its_client_does_not_read() -> None:
    async def use(worker: Worker, wire: Wire) -> None:
        wire.connection.pause_writing()
        wire.send(HEAD + b"1")
        assert worker.recorder.taken == []
        wire.connection.resume_writing()
        assert worker.recorder.taken == [b"1"]

    _run(use)


def test_a_body_is_not_late_while_it_is_not_read_because_an_earlier_request_waits() -> None:
    async def use(worker: Worker, wire: Wire) -> None:
        wire.send(HEAD + b"?" + HEAD.replace(b": 1", b": 3") + b"a")
        assert wire.transport.paused
        wire.connection.deadline.at = 0
        worker.sweep()
        worker.recorder.go_on()
        await asyncio.sleep(0)
        wire.send(b"bc")
        assert wire.transport.statuses == [200, 200]
        assert worker.recorder.taken == [b"?", b"abc"]

    _run(use)


def test_a_client_that_sends_no_more_has_the_time_of_a_body_to_read() -> None:
    async def use(_: Worker, wire: Wire) -> None:
        wire.send(HEAD + b"?")
        assert wire.connection.deadline.at == math.inf
        wire.connection.eof_received()
        assert 19 < _left(wire) <= 20

    _run(use)
