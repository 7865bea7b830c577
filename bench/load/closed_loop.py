"""A closed loop that takes every answer: connections that send the next request as soon as one is answered.

wrk is faster, and exits where a request is refused; here refusals are what is measured.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple, cast

import uvloop

from bench.load.answers import length_of, status_of

CUT: Final = 0
"""Stands for the status of a request whose connection ended before the answer came."""
_CLOSES: Final = b"\r\nconnection: close\r\n"
_DRAIN_SECONDS: Final = 10.0


class Tally(NamedTuple):
    """How many requests were answered with each status, and in how many seconds."""

    answers: Counter[int]
    seconds: float

    @property
    def requests(self) -> int:
        """All of them."""
        return self.answers.total()


class _Connection(asyncio.Protocol):
    """Sends, and sends again when it is answered; when it is closed, another one takes its place."""

    def __init__(self, loop: "_ClosedLoop") -> None:
        self._loop = loop
        self._buffer = b""
        self._waits = False
        self.transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.WriteTransport, transport)  # uvloop's are no instances of it
        self._loop.open.add(self)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer = data = self._buffer + data if self._buffer else data
        length = length_of(data)
        if length and len(data) >= length:
            self._buffer, self._waits = b"", False
            self._loop.answers[status_of(data)] += 1
            if _CLOSES in data and self.transport:
                self.transport.abort()
            else:
                self._send()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if self._waits:
            self._loop.answers[CUT] += 1
        self._loop.lost(self)

    def _send(self) -> None:
        request = self._loop.next_request()
        if request and self.transport and not self.transport.is_closing():
            self._waits = True
            self.transport.write(request)


class _ClosedLoop:
    """The requests in turn, until the time is over or enough were sent."""

    def __init__(self, port: int, requests: Sequence[bytes], most: int) -> None:
        self.answers: Counter[int] = Counter()
        self.open: set[_Connection] = set()
        self._port = port
        self._requests = requests
        self._left = most
        self._sent = 0
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[object]] = set()

    async def run(self, connections: int, seconds: float) -> Tally:
        begun = self._loop.time()
        for _ in range(connections):
            self._connect()
        while self._loop.time() < begun + seconds and self.answers.total() < self._sent + self._left:
            await asyncio.sleep(0.001)
        took, self._left = self._loop.time() - begun, 0
        await self._end()
        return Tally(self.answers, took)

    async def _end(self) -> None:
        """Wait for what is on its way: whoever measures afterwards measures none of it."""
        deadline = self._loop.time() + _DRAIN_SECONDS
        while self.answers.total() < self._sent and self._loop.time() < deadline:
            await asyncio.sleep(0.001)
        for each in list(self.open):
            if each.transport:
                each.transport.abort()
        await asyncio.gather(*self._opening, return_exceptions=True)

    def next_request(self) -> bytes:
        """What to send now; empty at the end."""
        if not self._left:
            return b""
        self._left -= 1
        self._sent += 1
        return self._requests[self._sent % len(self._requests)]

    def lost(self, connection: _Connection) -> None:
        """Open another one."""
        self.open.discard(connection)
        if self._left:
            self._connect()

    def _connect(self) -> None:
        task: asyncio.Task[object] = self._loop.create_task(
            self._loop.create_connection(lambda: _Connection(self), "127.0.0.1", self._port)
        )
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)


def run(port: int, requests: Sequence[bytes], connections: int, seconds: float, most: int = 1 << 60) -> Tally:
    """Send for `seconds`, or at most so many requests, and wait for the last answers."""

    async def run_() -> Tally:
        return await _ClosedLoop(port, requests, most).run(connections, seconds)

    return uvloop.run(run_())
