"""The load generators: what they send, and what they count when the server misbehaves."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import cast

from bench import servers
from bench.load import closed_loop
from bench.load.connection import CUT, Connection
from bench.load.open_loop import OpenLoop, Responses
from bench.load.traffic import Traffic, post
from bench.scenarios.segments import in_one, in_two

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REFUSED = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"
TRAFFIC = Traffic("", (post(b"ab"),))
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def _open_loop(serve: Serve, requests: int) -> Responses:
    """The responses to requests over one connection to such a server."""

    async def run() -> Responses:
        serving: list[asyncio.Task[object] | None] = []

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            serving.append(asyncio.current_task())
            with contextlib.suppress(OSError, EOFError):
                await serve(reader, writer)
            writer.transport.abort()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        async with server, OpenLoop(server.sockets[0].getsockname()[1], TRAFFIC, 1) as loop:
            responses = await loop.run(1000, requests / 1000)
        await asyncio.gather(*filter(None, serving))
        return responses

    return asyncio.run(run())


def _answering(*answers: bytes) -> Serve:
    """A server that gives these answers in turn, and ends the connection where one is empty."""
    left = iter(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"ab") and (answer := next(left, OK)):
            writer.write(answer)

    return serve


def test_an_open_loop_counts_a_lost_connection_and_opens_another_one() -> None:
    responses = _open_loop(_answering(OK, b"", OK, b"junk\r\n\r\n"), 10)
    assert responses.statuses == {200: 8, CUT: 2}
    assert responses.failed == 2


def test_an_open_loop_keeps_an_example_of_what_a_failed_request_was_answered() -> None:
    responses = _open_loop(_answering(OK, REFUSED), 5)
    assert (responses.requests, responses.failed, len(responses.latencies)) == (5, 1, 4)
    assert responses.failures == {503: REFUSED}


def test_responses_that_arrive_in_pieces_over_one_connection_are_counted_one_by_one() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while await reader.readuntil(b"ab"):
            for at in range(len(OK)):
                writer.write(OK[at : at + 1])
                await asyncio.sleep(0)

    assert _open_loop(serve, 5).statuses == {200: 5}
    assert connections == 1


def test_a_closed_loop_counts_answers_by_status_and_opens_again_what_was_closed() -> None:
    with servers.echo() as echo:
        plain = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nab"
        closing = plain.replace(b"host: x", b"host: x\r\nconnection: close")
        assert closed_loop.run(echo.port, [plain, closing], 2, 10, 20).answers == {200: 20}


def test_a_long_body_is_echoed_whole() -> None:
    with servers.echo() as echo:
        request = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n" + b"a" * 1_000_000
        assert closed_loop.run(echo.port, [request], 1, 10, 3).answers == {200: 3}


class _Transport:
    """Keeps what is written to it."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def is_closing(self) -> bool:
        return False


def test_segments_are_written_one_by_one_and_one_segment_waits_as_long_as_two() -> None:
    async def written(segments: tuple[bytes, ...]) -> list[bytes]:
        transport, connection = _Transport(), Connection(lambda *_: None, lambda _: None)
        connection.connection_made(cast(asyncio.BaseTransport, transport))
        connection.send(*segments)
        assert len(transport.written) == 1
        while len(transport.written) < len(segments):
            await asyncio.sleep(0)
        return transport.written

    head, body = TRAFFIC.requests[0][:-2], b"ab"
    assert asyncio.run(written(in_two(TRAFFIC.requests[0]))) == [head, body]
    assert asyncio.run(written(in_one(TRAFFIC.requests[0]))) == [b"", head + body]
