"""The input of one turn of the event loop is processed together, whatever happens to one of the connections."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from collector.http.connection import Connection
from collector.http.response import Pending, Response
from collector.http.sent_ahead import PIECE_BYTES
from tests.collector.http.recorder import Worker

HEAD = b"POST /event HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n"


def _run(use: Callable[[Worker], Awaitable[None]]) -> None:
    async def run() -> None:
        worker = Worker()
        await use(worker)
        worker.close()

    asyncio.run(run())


def test_requests_received_in_one_turn_are_taken_at_its_end_in_order() -> None:
    async def use(worker: Worker) -> None:
        for body in (b"1", b"2", b"3"):
            worker.connect().connection.data_received(HEAD + body)
        assert worker.recorder.taken == []
        await asyncio.sleep(0)
        assert worker.recorder.taken == [b"1", b"2", b"3"]

    _run(use)


def test_parts_received_in_one_turn_make_one_request() -> None:
    async def use(worker: Worker) -> None:
        connection, _ = worker.connect()
        for part in (HEAD[:9], HEAD[9:20], HEAD[20:] + b"1" + HEAD + b"2"):
            connection.data_received(part)
        await asyncio.sleep(0)
        assert worker.recorder.taken == [b"1", b"2"]

    _run(use)


def test_more_than_a_piece_is_parsed_before_the_end_of_the_turn() -> None:
    async def use(worker: Worker) -> None:
        connection, _ = worker.connect()
        connection.data_received(HEAD[:9])
        connection.data_received(HEAD[9:] + b"1" + (HEAD + b"2") * 60 + b"GET /event?" + b"x" * 4096)
        assert worker.recorder.taken == [b"1"] + [b"2"] * 60

    _run(use)


@pytest.mark.parametrize("ending", [Connection.eof_received, Connection.shutdown])
def test_requests_sent_before_the_end_of_a_connection_are_taken(ending: Callable[[Connection], None]) -> None:
    async def use(worker: Worker) -> None:
        connection, _ = worker.connect()
        connection.data_received(HEAD + b"1")
        ending(connection)
        assert worker.recorder.taken == [b"1"]

    _run(use)


def test_a_client_is_not_late_if_the_rest_arrives_in_this_turn() -> None:
    async def use(worker: Worker) -> None:
        connection, transport = worker.connect()
        connection.data_received(HEAD + b"1")
        connection.deadline.at = 0
        worker.sweep()
        assert worker.recorder.taken == [b"1"]
        assert transport.statuses == [200]

    _run(use)


def test_requests_on_a_connection_closed_in_the_same_turn_are_not_taken() -> None:
    async def use(worker: Worker) -> None:
        connection, transport = worker.connect()
        connection.data_received(HEAD + b"1")
        transport.close()
        await asyncio.sleep(0)
        connection.data_received(HEAD + b"2")
        await asyncio.sleep(0)
        assert worker.recorder.taken == []

    _run(use)


def test_a_bug_closes_its_connection_and_no_other(caplog: pytest.LogCaptureFixture) -> None:
    async def use(worker: Worker) -> None:
        connected = {body: worker.connect() for body in (b"1", b"!", b"2")}
        for body, (connection, _) in connected.items():
            connection.data_received(HEAD + body)
        await asyncio.sleep(0)
        assert [record.getMessage() for record in caplog.records] == ["bug in the collector: connection closed"]
        assert worker.recorder.taken == [b"1", b"2"]
        assert [transport.closed for _, transport in connected.values()] == [False, True, False]

    _run(use)


def test_a_response_that_can_not_be_sent_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    async def use(worker: Worker) -> None:
        wires = [worker.connect() for _ in range(3)]
        for wire in wires:
            wire.send(HEAD + b"?")
        wires[1].connection.transport = None  # type: ignore[assignment]
        block: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for wire in wires:
            worker.connections.wait(wire.connection, Pending(Response(200, b"", b""), block))
        block.set_result(None)
        await asyncio.sleep(0)
        assert "response not sent" in caplog.text
        assert [wire.transport.statuses for wire in wires] == [[200], [], [200]]

    _run(use)


def test_a_connection_parses_two_pieces_of_chunks_in_a_turn_and_lets_the_others_run() -> None:
    async def use(worker: Worker) -> None:
        connection, _ = worker.connect()
        chunks = b"1\r\n?\r\n" * 10_000
        connection.data_received(b"POST /event HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n" + chunks)
        held = worker.in_flight.bytes
        assert len(chunks) - 3 * PIECE_BYTES < held
        await asyncio.sleep(0)
        assert held - 3 * PIECE_BYTES < worker.in_flight.bytes < held

    _run(use)
