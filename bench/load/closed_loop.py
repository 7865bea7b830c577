"""A closed loop that accepts every status: each connection sends the next request as soon as the last is answered.

wrk is faster, but it counts a refusal as a failure; here refusals are measured too.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from typing import Final, NamedTuple

import uvloop

from bench.load.connection import Connection

_POLL_SECONDS: Final = 0.001
_DRAIN_SECONDS: Final = 10.0
Segments = Callable[[bytes], tuple[bytes, ...]]


def whole(request: bytes) -> tuple[bytes, ...]:
    """All of a request in one segment."""
    return (request,)


class Tally(NamedTuple):
    """The number of requests answered with each status, and the seconds that it took."""

    answers: Counter[int]
    seconds: float

    @property
    def requests(self) -> int:
        """All of them."""
        return self.answers.total()


def run(
    port: int,
    requests: Sequence[bytes],
    connections: int,
    seconds: float,
    most: int | None = None,
    segments: Segments = whole,
) -> Tally:
    """Send the requests in turn for `seconds`, or `most` of them, and wait for the last responses.

    `segments` cuts a request into the pieces that are sent one by one.
    """

    async def run_() -> Tally:
        return await _ClosedLoop(port, islice(cycle(requests), most), segments).run(connections, seconds)

    return uvloop.run(run_())


class _ClosedLoop:
    """Opens a connection again when it is lost, until the time is over or no request is left."""

    def __init__(self, port: int, requests: Iterator[bytes], segments: Segments) -> None:
        self._port = port
        self._requests = requests
        self._segments = segments
        self._is_over = False
        self._in_flight = 0
        self._answers: Counter[int] = Counter()
        self._open: set[Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    async def run(self, connections: int, seconds: float) -> Tally:
        begun = self._loop.time()
        for _ in range(connections):
            self._start()
        while self._loop.time() < begun + seconds and (self._in_flight or not self._is_over):
            await asyncio.sleep(_POLL_SECONDS)
        took, self._is_over = self._loop.time() - begun, True
        await self._end()
        return Tally(self._answers, took)

    async def _end(self) -> None:
        """Wait for the requests on their way, so that whatever is measured next measures none of them."""
        deadline = self._loop.time() + _DRAIN_SECONDS
        while self._in_flight and self._loop.time() < deadline:
            await asyncio.sleep(_POLL_SECONDS)
        await asyncio.gather(*self._opening, return_exceptions=True)
        for each in list(self._open):  # the last of them too: uvloop waits for ever to close with one that is open
            each.close()
        await asyncio.sleep(0)

    def _start(self) -> None:
        task = self._loop.create_task(self._connect())
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _connect(self) -> None:
        make = lambda: Connection(self._answered, self._lost)  # noqa: E731
        _, connection = await self._loop.create_connection(make, "127.0.0.1", self._port)
        self._open.add(connection)
        self._send(connection)

    def _send(self, connection: Connection) -> None:
        if self._is_over or not connection.is_open:
            return
        request = next(self._requests, None)
        if request is None:
            self._is_over = True
        else:
            self._in_flight += 1
            connection.send(*self._segments(request))

    def _answered(self, connection: Connection, status: int, _response: bytes) -> None:
        self._in_flight -= 1
        self._answers[status] += 1
        self._send(connection)

    def _lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        if not self._is_over:
            self._start()
