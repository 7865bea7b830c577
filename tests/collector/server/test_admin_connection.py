"""Connections to the admin address over real sockets, with applications that respond as no endpoint of ours does."""

import asyncio
import math
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from collector.server.admin_connection import MOST_CONNECTIONS, AdminConnection, AdminConnections
from tests.running import PATIENCE_SECONDS

_GET = b"GET /a%20b?c=d HTTP/1.1\r\nhost: x\r\nx-name: value\r\n\r\n"
_START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}

Client = Callable[[bytes], Coroutine[Any, Any, bytes]]
"""Sends bytes on a new connection, and returns all that comes until it ends."""


def _part(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


@asynccontextmanager
async def _served(app: ASGIApp) -> AsyncIterator[tuple[Client, ServerState, int]]:
    state = ServerState()
    connections = AdminConnections(app, ("192.0.2.1", 8081))
    server = await asyncio.get_running_loop().create_server(lambda: AdminConnection(connections, state), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def send(data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(data)
        received = await asyncio.wait_for(reader.read(), PATIENCE_SECONDS)
        writer.close()
        await writer.wait_closed()
        return received

    try:
        yield send, state, port
    finally:
        server.close()
        connections.close()
        for connection in list(state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)


def _run(app: ASGIApp, check: Callable[[Client, ServerState, int], Awaitable[None]]) -> None:
    async def run() -> None:
        async with _served(app) as (client, state, port):
            await check(client, state, port)

    asyncio.run(run())


def _reset(writer: asyncio.StreamWriter) -> None:
    """Leave without a word."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def test_an_application_sees_the_request_and_its_response_is_whole() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        body = (await receive())["body"]
        await send(_START)
        await send(_part(body * 2))

    async def check(client: Client, _state: ServerState, _port: int) -> None:
        head = _GET.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nconnection: close\r\ncontent-length: 2\r\n\r\n")
        received = await client(head + b"ab")
        lines, _, body = received.partition(b"\r\n\r\n")
        assert lines.split(b"\r\n") == [
            b"HTTP/1.1 200 OK",
            b"content-type: text/plain",
            b"content-length: 4",
            b"connection: close",
        ]
        assert body == b"abab"

    _run(app, check)
    (scope,) = seen
    assert (scope["method"], scope["path"], scope["raw_path"], scope["query_string"]) == (
        "POST",
        "/a b",
        b"/a%20b",
        b"c=d",
    )
    assert (b"x-name", b"value") in scope["headers"]
    assert (scope["server"], scope["client"][0], scope["scheme"]) == (("192.0.2.1", 8081), "127.0.0.1", "http")


def test_parts_are_a_stream_that_ends_with_the_connection() -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(_START)
        for number in range(3):
            await send(_part(b"%d" % number, more=True))
        await send(_part(b"end"))

    async def check(client: Client, _state: ServerState, _port: int) -> None:
        received = await client(_GET * 2)
        assert received.partition(b"\r\n\r\n")[2] == b"012end", "the request behind a stream gets no response"
        assert b"content-length" not in received
        assert b"connection: close\r\n" in received

    _run(app, check)


def test_a_stream_in_response_to_head_is_its_head_and_ends() -> None:
    has_ended = asyncio.Event()

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await send(_START)
        await send(_part(b"first", more=True))
        await receive()
        assert (await receive())["type"] == "http.disconnect"
        has_ended.set()

    async def check(client: Client, _state: ServerState, _port: int) -> None:
        received = await client(_GET.replace(b"GET", b"HEAD").replace(b"x-name: value", b"connection: close"))
        assert received == b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n"
        await asyncio.wait_for(has_ended.wait(), PATIENCE_SECONDS)

    _run(app, check)


@pytest.mark.parametrize("begun", [(), (_START,), (_START, _part(b"a", more=True))], ids=["silent", "head", "stream"])
def test_a_bug_of_an_application_ends_its_response_and_is_logged(
    begun: tuple[dict[str, Any], ...], caplog: pytest.LogCaptureFixture
) -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        for message in begun:
            await send(message)
        raise ZeroDivisionError

    async def check(client: Client, _state: ServerState, _port: int) -> None:
        received = await client(_GET.replace(b"x-name: value", b"connection: close"))
        status, body = received.split(b" ", 2)[1], received.partition(b"\r\n\r\n")[2]
        assert (status, body) == (b"200", b"a") if len(begun) > 1 else (b"503", body)
        assert b"could not be served" in body or len(begun) > 1

    _run(app, check)
    assert [record.exc_info and record.exc_info[0] for record in caplog.records] == [ZeroDivisionError]


def test_a_part_waits_for_a_client_that_does_not_read() -> None:
    sent, part = 0, bytes(100_000)
    has_left = asyncio.Event()

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send(_START)

        async def write() -> None:
            nonlocal sent
            while True:
                await send(_part(part, more=True))
                sent += len(part)

        writing = asyncio.create_task(write())
        while (await receive())["type"] != "http.disconnect":
            pass
        writing.cancel()
        has_left.set()

    async def check(_client: Client, _state: ServerState, port: int) -> None:
        reading = socket.socket()
        reading.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        reading.connect(("127.0.0.1", port))
        reading.sendall(_GET)
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.1)
        assert 0 < sent < 2 << 20
        while sent < before + (4 << 20):
            await asyncio.to_thread(reading.recv, 1 << 20)
        reading.close()
        await asyncio.wait_for(has_left.wait(), PATIENCE_SECONDS)

    _run(app, check)


def test_a_stop_lets_a_stream_say_goodbye() -> None:
    has_begun = asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(_START)
        await send(_part(b"hello", more=True))
        has_begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await send(_part(b", bye"))

    async def check(client: Client, state: ServerState, _port: int) -> None:
        receiving = asyncio.create_task(client(_GET))
        await asyncio.wait_for(has_begun.wait(), PATIENCE_SECONDS)
        while not any(connection.is_waiting for connection in state.connections):  # type: ignore[union-attr]
            await asyncio.sleep(0.01)
        for connection in list(state.connections):
            connection.shutdown()
        assert (await receiving).endswith(b"\r\n\r\nhello, bye")

    _run(app, check)


def test_a_client_that_leaves_before_its_stream_begins_ends_it() -> None:
    may_begin, has_left = asyncio.Event(), asyncio.Event()

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await may_begin.wait()
        await send(_START)
        await send(_part(b"hello", more=True))
        await receive()
        assert (await receive())["type"] == "http.disconnect"
        await send(_part(b"dropped"))
        has_left.set()

    async def check(_client: Client, state: ServerState, port: int) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_GET.replace(b"GET", b"POST"))
        while not any(connection.is_waiting for connection in state.connections):  # type: ignore[union-attr]
            await asyncio.sleep(0.01)
        _reset(writer)
        while state.connections:
            await asyncio.sleep(0.01)
        may_begin.set()
        await asyncio.wait_for(has_left.wait(), PATIENCE_SECONDS)

    _run(app, check)


@pytest.mark.parametrize(("method", "goes_on"), [(b"GET", False), (b"HEAD", False), (b"POST", True)])
def test_work_without_effect_ends_when_its_client_has_left(method: bytes, goes_on: bool) -> None:
    has_begun, may_end, has_ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
    ends: list[bool] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        has_begun.set()
        try:
            await may_end.wait()
            ends.append(True)
        except asyncio.CancelledError:
            ends.append(False)
        has_ended.set()
        await send(_START)
        await send(_part(b"a"))

    async def check(_client: Client, state: ServerState, port: int) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_GET.replace(b"GET", method))
        await asyncio.wait_for(has_begun.wait(), PATIENCE_SECONDS)
        _reset(writer)
        while state.connections:
            await asyncio.sleep(0.01)
        may_end.set()
        await asyncio.wait_for(has_ended.wait(), PATIENCE_SECONDS)

    _run(app, check)
    assert ends == [goes_on]


def test_a_client_that_has_sent_all_still_gets_its_response() -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.05)
        await send(_START)
        await send(_part(b"a"))

    async def check(_client: Client, state: ServerState, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_GET)
        writer.write_eof()
        received = await asyncio.wait_for(reader.read(), PATIENCE_SECONDS)
        assert received.endswith(b"connection: close\r\n\r\na")
        writer.close()
        while state.connections:
            await asyncio.sleep(0.01)

    _run(app, check)


@pytest.mark.parametrize("begins_after_it", [False, True])
def test_a_stream_ends_when_its_client_has_sent_all(begins_after_it: bool) -> None:
    may_begin, has_begun, has_left = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await may_begin.wait()
        await send(_START)
        await send(_part(bytes(105_000), more=True))
        has_begun.set()
        await receive()
        assert (await receive())["type"] == "http.disconnect"
        has_left.set()

    async def check(_client: Client, state: ServerState, port: int) -> None:
        viewer = socket.socket()
        viewer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        viewer.connect(("127.0.0.1", port))
        viewer.sendall(_GET)
        while not any(connection.is_waiting for connection in state.connections):  # type: ignore[union-attr]
            await asyncio.sleep(0.01)
        (connection,) = state.connections
        if not begins_after_it:
            may_begin.set()
            await asyncio.wait_for(has_begun.wait(), PATIENCE_SECONDS)
        viewer.shutdown(socket.SHUT_WR)
        while not connection._is_stopping:  # type: ignore[union-attr]
            await asyncio.sleep(0.01)
        may_begin.set()
        await asyncio.wait_for(has_left.wait(), PATIENCE_SECONDS)
        assert connection.deadline.at < math.inf  # type: ignore[union-attr]
        assert not connection.is_waiting  # type: ignore[union-attr]
        viewer.close()

    _run(app, check)


def test_streams_and_requests_that_are_served_stay_when_others_make_room() -> None:
    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        await send(_START)
        await send(_part(b"a", more=scope["query_string"] == b"c=d"))
        if scope["query_string"] == b"c=d":
            await asyncio.Event().wait()

    async def check(client: Client, state: ServerState, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_GET)
        await reader.readuntil(b"\r\n\r\na")
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2 * MOST_CONNECTIONS)]
        received = await client(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert received.endswith(b"a")
        assert len(state.connections) <= MOST_CONNECTIONS
        assert not reader.at_eof()
        for _, other in (*silent, (reader, writer)):
            other.transport.abort()

    _run(app, check)
