"""Whatever a client sends, in whatever pieces, and whatever happens meanwhile: order, and nothing held at the end."""

import asyncio
import re
from itertools import count

from hypothesis import example, given
from hypothesis import strategies as st

from collector.settings import Limits
from tests.collector.http.recorder import BODY_LIMIT, Wire, Worker

REQUESTS = {
    "at once": b"POST /event HTTP/1.1\r\ncontent-length: 3\r\n\r\n%03d",
    "waits": b"POST /event HTTP/1.1\r\ncontent-length: 9000\r\n\r\n?%03d" + b"?" * 8996,
    "long": b"POST /event HTTP/1.1\r\ncontent-length: %d\r\n\r\n%%03d%b" % (BODY_LIMIT, b"x" * (BODY_LIMIT - 3)),
    "too long": b"POST /event HTTP/1.1\r\ncontent-length: %d\r\n\r\n%%03d" % (BODY_LIMIT + 1),
    "refused": b"POST /refused HTTP/1.1\r\ncontent-length: 9000\r\n\r\n%03d" + b"x" * 8997,
    "chunks": b"POST /event HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"
    + b"3;x=y\r\n%03d\r\n1000\r\n"
    + b"x" * 4096
    + b"\r\n2\r\nxy\r\n0\r\nt: u\r\n\r\n",
    "expects": b"POST /event HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n%03d",
    "offers": b"POST /event HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c\r\ncontent-length: 3\r\n\r\n%03d",
    "ends": b"POST /event HTTP/1.1\r\nconnection: close\r\ncontent-length: 3\r\n\r\n%03d",
    "junk": b"no request %03d\r\n\r\n",
}
SIZES = (1, 40, 4096, 5000, 70_000)
ACTIONS = ("turn", "go on", "fail", "pause", "resume", "sweep", "late", "stop", "leave")


async def _act(worker: Worker, wire: Wire, action: str) -> None:
    connection, deadline = wire.connection, wire.connection.deadline
    if action == "turn":
        await asyncio.sleep(0)
    elif action == "go on":
        worker.recorder.go_on()
    elif action == "fail" and worker.recorder.waiting:
        worker.recorder.waiting.pop(0).set_exception(OSError("no"))
    elif action == "pause" and not deadline.is_write_paused and not wire.transport.closed:
        connection.pause_writing()
    elif action == "resume" and deadline.is_write_paused and not wire.transport.closed:
        connection.resume_writing()
    elif action in ("sweep", "late"):
        deadline.at = 0 if action == "late" else deadline.at
        worker.sweep()
    elif action == "stop":
        connection.shutdown()
    elif action == "leave":
        _leave(wire)


def _leave(wire: Wire) -> None:
    wire.transport.closed = True
    wire.connection.connection_lost(None)


async def _settle(worker: Worker, wire: Wire, rest: bytes) -> None:
    """Let the client send the rest and read, and all work end."""
    await _act(worker, wire, "resume")
    for _ in range(200):
        if rest and not wire.transport.paused and not wire.transport.closed:
            wire.connection.data_received(rest[:50_000])
            rest = rest[50_000:]
        worker.recorder.go_on()
        await asyncio.sleep(0)


@given(
    st.lists(st.sampled_from(sorted(REQUESTS)), min_size=1, max_size=8),
    st.lists(st.one_of(st.sampled_from(SIZES), st.sampled_from(ACTIONS)), max_size=40),
    st.booleans(),
)
@example(["waits"] * 3, [70_000], False)
@example(["at once", "chunks"], [4096, "turn"], True)
@example(["long", "waits"], [70_000, "late"], True)
def test_responses_keep_their_order_and_nothing_is_in_flight_at_the_end(
    kinds: list[str], steps: list[int | str], stays: bool
) -> None:
    async def run() -> None:
        worker = Worker(Limits(in_flight_bytes=8 << 20))
        wire = worker.connect()
        stream = b"".join(REQUESTS[kind] % number for kind, number in zip(kinds, count(), strict=False))
        for step in steps:
            if isinstance(step, str):
                await _act(worker, wire, step)
            elif not wire.transport.paused and not wire.transport.closed:
                wire.connection.data_received(stream[:step])
                stream = stream[step:]
        if stays:
            await _settle(worker, wire, stream)
            assert wire.transport.closed or not wire.connection._exchanges
        _leave(wire)
        worker.recorder.go_on()
        await asyncio.sleep(0)
        worker.close()
        assert worker.in_flight.bytes == 0
        assert not wire.connection._exchanges
        bodies = re.findall(rb"\r\n\r\n(\d{3})", wire.transport.written)
        assert bodies == sorted(set(bodies))

    asyncio.run(run())
