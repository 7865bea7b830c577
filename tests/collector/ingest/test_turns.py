"""What arrives in one turn of the event loop: taken together, whatever happens to one of the connections meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable

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

HEAD = b"POST /event HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n"


class _Transport(SilentTransport):
    """Notes what is written, and whether it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close


class _Turns:
    """Connections whose requests are noted when they begin."""

    def __init__(self) -> None:
        self.begun: list[bytes] = []
        self._connections = Connections(Limits(header_seconds=10), {b"/event": self._begin}, Notices())
        self._config = uvicorn.Config(_unasked, http=Connection, ws="none", lifespan="off", log_config=None)
        self._config.load()

    def connect(self) -> tuple[Connection, _Transport]:
        """A new connection."""
        connection = Connection(config=self._config, server_state=ServerState(), app_state={STATE: self._connections})
        transport = _Transport()
        connection.connection_made(transport)
        return connection, transport

    def sweep(self) -> None:
        """What the timer calls once a second."""
        self._connections.close()
        self._connections._sweep()

    def close(self) -> None:
        """End the timer."""
        self._connections.close()

    def _begin(self, _: Head, body: bytes, respond: Callable[[Answer], None]) -> bool:
        if body == b"!":
            raise ZeroDivisionError
        self.begun.append(body)
        respond(Answer(200, b"", b""))
        return True


async def _unasked(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise AssertionError


def _run(use: Callable[[_Turns], Awaitable[None]]) -> None:
    async def run() -> None:
        turns = _Turns()
        await use(turns)
        turns.close()

    asyncio.run(run())


def test_all_that_arrives_in_a_turn_begins_at_its_end_in_order() -> None:
    async def use(turns: _Turns) -> None:
        for body in (b"1", b"2", b"3"):
            turns.connect()[0].data_received(HEAD + body)
        assert turns.begun == []
        await asyncio.sleep(0)
        assert turns.begun == [b"1", b"2", b"3"]

    _run(use)


def test_parts_that_arrive_in_one_turn_are_of_one_request() -> None:
    async def use(turns: _Turns) -> None:
        connection, _ = turns.connect()
        for part in (HEAD[:9], HEAD[9:20], HEAD[20:] + b"1" + HEAD + b"2"):
            connection.data_received(part)
        await asyncio.sleep(0)
        assert turns.begun == [b"1", b"2"]

    _run(use)


def test_more_than_a_piece_is_not_kept_to_the_end_of_the_turn() -> None:
    async def use(turns: _Turns) -> None:
        connection, _ = turns.connect()
        connection.data_received(HEAD[:9])
        connection.data_received(HEAD[9:] + b"1" + (HEAD + b"2") * 60 + b"GET /event?" + b"x" * 4096)
        assert turns.begun == [b"1"] + [b"2"] * 60

    _run(use)


@pytest.mark.parametrize("ending", [Connection.eof_received, Connection.shutdown])
def test_what_was_sent_in_front_of_the_end_of_a_connection_begins(ending: Callable[[Connection], None]) -> None:
    async def use(turns: _Turns) -> None:
        connection, _ = turns.connect()
        connection.data_received(HEAD + b"1")
        ending(connection)
        assert turns.begun == [b"1"]

    _run(use)


def test_who_is_late_is_not_when_the_rest_has_arrived_in_this_turn() -> None:
    async def use(turns: _Turns) -> None:
        connection, transport = turns.connect()
        connection.data_received(HEAD + b"1")
        connection.deadline = 0
        turns.sweep()
        assert turns.begun == [b"1"]
        assert transport.written.startswith(b"HTTP/1.1 200 ")

    _run(use)


def test_what_arrived_on_a_connection_that_is_closed_then_does_not_begin() -> None:
    async def use(turns: _Turns) -> None:
        connection, transport = turns.connect()
        connection.data_received(HEAD + b"1")
        transport.close()
        await asyncio.sleep(0)
        connection.data_received(HEAD + b"2")
        await asyncio.sleep(0)
        assert turns.begun == []

    _run(use)


def test_an_error_of_ours_ends_the_connection_it_happens_on_and_no_other(caplog: pytest.LogCaptureFixture) -> None:
    async def use(turns: _Turns) -> None:
        connected = {body: turns.connect() for body in (b"1", b"!", b"2")}
        for body, (connection, _) in connected.items():
            connection.data_received(HEAD + body)
        await asyncio.sleep(0)
        assert [record.getMessage() for record in caplog.records] == ["a request was not taken"]
        assert turns.begun == [b"1", b"2"]
        assert [transport.closed for _, transport in connected.values()] == [False, True, False]

    _run(use)
