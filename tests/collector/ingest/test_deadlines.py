"""Which deadline a connection has, on a transport that only notes what it is told."""

import asyncio
import math
from collections.abc import Callable
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from collector.ingest.answer import Answer
from collector.ingest.connection import STATE, Connection, Connections
from collector.ingest.head import Head
from collector.notices import Notices
from collector.settings import Limits
from tests.collector.silent_transport import SilentTransport

HEAD = b"POST /event HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n"


async def _answer(_scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def _run(use: Callable[[Connection], Any]) -> None:
    async def run() -> None:
        config = uvicorn.Config(_answer, http=Connection, ws="none", lifespan="off", log_config=None, access_log=False)
        config.load()
        connections = Connections(Limits(header_seconds=10, body_seconds=20), {}, Notices())
        connection = Connection(config=config, server_state=ServerState(), app_state={STATE: connections})
        connection.connection_made(SilentTransport())
        await use(connection)
        connections.close()

    asyncio.run(run())


def _receive(connection: Connection, data: bytes) -> None:
    """What the end of the event loop's turn would do, now."""
    connection.data_received(data)
    connection._all.take_arrived()


def _left(connection: Connection) -> float:
    return connection.deadline - connection.loop.time()


def test_headers_have_their_time_from_the_first_connection_on() -> None:
    async def use(connection: Connection) -> None:
        first = connection.deadline
        _receive(connection, HEAD[:9])
        assert connection.deadline == first
        assert 9 < _left(connection) <= 10

    _run(use)


def test_a_body_has_its_time_from_the_end_of_the_headers_on_and_no_drop_renews_it() -> None:
    async def use(connection: Connection) -> None:
        _receive(connection, HEAD)
        deadline = connection.deadline
        assert 19 < _left(connection) <= 20
        _receive(connection, b"{")
        assert connection.deadline == deadline

    _run(use)


def test_a_request_that_is_whole_is_not_timed_and_its_answer_begins_the_time_to_the_next() -> None:
    async def use(connection: Connection) -> None:
        _receive(connection, HEAD + b"{}")
        assert connection.deadline == math.inf
        while connection.deadline == math.inf:
            await asyncio.sleep(0)
        assert _left(connection) <= connection.timeout_keep_alive

    _run(use)


def test_who_does_not_read_its_answers_has_no_longer_than_for_a_body() -> None:
    async def use(connection: Connection) -> None:
        _receive(connection, HEAD + b"{}")
        connection.pause_writing()
        now = connection.loop.time()
        late = [connection.is_late(now + seconds) for seconds in (0, 19, 21)]
        connection.resume_writing()  # or its answer would wait for ever
        assert late == [False, False, True]

    _run(use)


def test_what_was_awaited_before_a_pause_of_writing_is_awaited_behind_it() -> None:
    async def use(connection: Connection) -> None:
        _receive(connection, HEAD[:9])
        connection.pause_writing()
        connection.resume_writing()
        assert 9 < _left(connection) <= 10

    _run(use)


def test_a_connection_that_is_kept_alive_is_so_for_its_time_behind_a_pause_of_writing_too() -> None:
    async def use(connection: Connection) -> None:
        _receive(connection, HEAD + b"{}")
        while connection.deadline == math.inf:
            await asyncio.sleep(0)
        connection.pause_writing()
        connection.resume_writing()
        assert 0 < _left(connection) <= connection.timeout_keep_alive

    _run(use)


def test_a_whole_request_begins_at_once_unless_its_client_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(connection: Connection) -> None:
        begun: list[bytes] = []

        def begin(_: Head, body: bytes, respond: Callable[[Answer], None]) -> bool:
            begun.append(body)
            connection.loop.call_soon(respond, Answer(200, b"", b""))
            return True

        monkeypatch.setattr(connection._all, "begins", {b"/event": begin})
        _receive(connection, HEAD + b"{}")
        assert (begun, len(connection.tasks)) == ([b"{}"], 0)
        await asyncio.sleep(0)
        assert connection.cycle.response_complete
        _receive(connection, HEAD)
        assert (begun, len(connection.tasks)) == ([b"{}"], 1)  # the rest may take its time
        _receive(connection, b"{}")
        await asyncio.sleep(0.01)
        connection.pause_writing()
        _receive(connection, HEAD + b"{}")
        assert (begun, len(connection.tasks)) == ([b"{}"], 1)
        connection.resume_writing()
        await asyncio.sleep(0.01)

    _run(use)
