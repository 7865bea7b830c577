"""An open loop: requests go out when they are due, however long the answers before take, and latency counts from then.

A closed loop, which waits for each answer, asks less of a server just when it is slow, and so does not see it.
"""

import asyncio
import math
from collections import deque
from http import HTTPStatus
from typing import Final, NamedTuple, cast

from bench.load.answers import length_of, status_of
from bench.load.traffic import Traffic

_TICK_SECONDS: Final = 0.001
_DRAIN_SECONDS: Final = 10.0


class Answered(NamedTuple):
    """Latencies of all requests in seconds, in the order of their answers, how many failed, and how many were to be
    refused and were."""

    latencies: list[float]
    failed: int
    refused: int = 0

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
        length = length_of(data)
        if length and len(data) >= length:
            self._buffer = b""
            self._loop.answered(self, self._due, status_of(data))

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
        self._refused = 0
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
        self._latencies, self._refused = [], 0
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
        return Answered(self._latencies, total - len(self._latencies), self._refused)

    def answered(self, connection: _Connection, due: float, status: int) -> None:
        """Count an answer, and use the connection for what waits."""
        is_refused = status == HTTPStatus.BAD_REQUEST and self._traffic.has_refusals
        if is_refused or status < HTTPStatus.BAD_REQUEST:
            self._latencies.append(self._loop.time() - due)
            self._refused += is_refused
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
