"""An open loop: requests go out when they are due, however long the answers before take, and latency counts from then.

A closed loop, which waits for each answer, asks less of a server just when it is slow, and so does not see it.
"""

import asyncio
import math
from collections import deque
from typing import Final, NamedTuple, cast

from bench.traffic import Traffic

_TICK_SECONDS: Final = 0.001
_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length: "
_DRAIN_SECONDS: Final = 10.0


class Answered(NamedTuple):
    """Latencies of all requests in seconds, in the order of their answers, and how many failed."""

    latencies: list[float]
    failed: int

    def at(self, share: float) -> float:
        """The latency in ms that this share of the answered requests does not exceed."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] * 1000


class _Connection(asyncio.Protocol):
    """One request at a time; gives itself back to the idle ones when it is answered."""

    def __init__(self, loop: "OpenLoop") -> None:
        self._loop = loop
        self._buffer = b""
        self._due = 0.0
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's are no instances of it

    def send(self, request: bytes, due: float) -> None:
        self._due = due
        if self._transport:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer = data = self._buffer + data if self._buffer else data
        end = data.find(_HEAD_END)
        if end < 0:
            return
        at = data.find(_LENGTH, 0, end)
        length = int(data[at + len(_LENGTH) : data.find(b"\r", at)]) if at >= 0 else 0
        if len(data) >= end + len(_HEAD_END) + length:
            self._buffer = b""
            self._loop.answered(self, self._due, is_good=data[9:10] in (b"2", b"3"))

    def close(self) -> None:
        if self._transport:
            self._transport.abort()


class OpenLoop:
    """A load of so many requests a second over some connections. Create it inside the event loop."""

    def __init__(self, port: int, traffic: Traffic, connections: int) -> None:
        self._port = port
        self._traffic = traffic
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._idle: deque[_Connection] = deque()
        self._waiting: deque[tuple[bytes, float]] = deque()
        self._latencies: list[float] = []
        self._open: list[_Connection] = []
        self._sent = 0

    async def __aenter__(self) -> "OpenLoop":
        for _ in range(self._connections):
            await self._loop.create_connection(self._connect, "127.0.0.1", self._port)
            await asyncio.sleep(_TICK_SECONDS)  # of connections that come all at once, one worker may take all
        self._idle.extend(self._open)
        return self

    async def __aexit__(self, *_: object) -> None:
        for each in self._open:
            each.close()

    async def run(self, rate: float, seconds: float) -> Answered:
        """Send `rate` requests a second for so long, and wait for the answers."""
        self._latencies = []
        requests, begun, sent, total = self._traffic.requests, self._loop.time(), 0, int(rate * seconds)
        while sent < total:
            now = self._loop.time()
            goal = min(total, int((now - begun) * rate) + 1)
            for number in range(sent, goal):
                self._send(requests[(self._sent + number) % len(requests)], begun + number / rate)
            sent = goal
            await asyncio.sleep(_TICK_SECONDS)
        self._sent += sent
        deadline = self._loop.time() + _DRAIN_SECONDS
        while len(self._idle) < self._connections and self._loop.time() < deadline:
            await asyncio.sleep(_TICK_SECONDS)
        return Answered(self._latencies, total - len(self._latencies))

    def answered(self, connection: _Connection, due: float, *, is_good: bool) -> None:
        """Count an answer, and use the connection for what waits."""
        if is_good:
            self._latencies.append(self._loop.time() - due)
        if self._waiting:
            connection.send(*self._waiting.popleft())
        else:
            self._idle.append(connection)

    def _connect(self) -> _Connection:
        connection = _Connection(self)
        self._open.append(connection)
        return connection

    def _send(self, request: bytes, due: float) -> None:
        if self._idle:
            self._idle.popleft().send(request, due)
        else:
            self._waiting.append((request, due))
