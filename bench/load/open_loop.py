"""An open loop: requests are sent when they are due, however slow the responses before are; latency counts from then.

A closed loop, which waits for each response, sends less to a server that is slow, so it does not see the slowness.
"""

import asyncio
import math
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from bench.load.connection import CUT, Connection
from bench.load.traffic import Traffic

_TICK_SECONDS: Final = 0.001
_DRAIN_SECONDS: Final = 10.0
_RETRY_SECONDS: Final = 0.1
_ID: Final = b"\r\nx-event-id: "


@dataclass
class Responses:
    """The responses to the requests of a period."""

    requests: int = 0
    latencies: list[float] = field(default_factory=list)
    """Seconds, of the requests that got the status they were meant to get, in the order of their responses."""
    statuses: Counter[int] = field(default_factory=Counter)
    refused: int = 0
    """Requests that were meant to be refused, and were."""
    failures: dict[int, bytes] = field(default_factory=dict)
    """For each status that means failure, one response."""
    ids: list[bytes] = field(default_factory=list)
    """Of the stored events, where the load keeps them."""
    begun: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    """From the first request to the last response."""

    @property
    def failed(self) -> int:
        """Requests without the response that they were meant to get."""
        return self.requests - len(self.latencies)

    @property
    def p99(self) -> float:
        """In ms."""
        return self.at(0.99)

    def at(self, share: float) -> float:
        """The latency in ms that this share of the answered requests does not exceed; NaN where there is none."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] * 1000 if ordered else math.nan


class OpenLoop:
    """A load of a given rate over some connections. Create it inside the event loop."""

    def __init__(
        self, port: int, traffic: Traffic, connections: int, *, host: str = "127.0.0.1", keeps_ids: bool = False
    ) -> None:
        self._address = host, port
        self._traffic = traffic
        self._connections = connections
        self._keeps_ids = keeps_ids
        self._loop = asyncio.get_running_loop()
        self._open: set[Connection] = set()
        self._idle: deque[Connection] = deque()
        self._waiting: deque[tuple[bytes, float, Responses]] = deque()
        self._in_flight: dict[Connection, tuple[float, Responses]] = {}
        self._reopening: set[asyncio.Task[None]] = set()
        self._is_over = False
        self._sent = 0

    async def __aenter__(self) -> "OpenLoop":
        """Open the connections. Raises OSError if the server accepts none."""
        for _ in range(self._connections):
            await self._connect()
            await asyncio.sleep(_TICK_SECONDS)  # if they came all at once, one worker might accept all
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_over = True
        for task in self._reopening:
            task.cancel()
        for each in list(self._open):
            each.close()

    async def run(self, rate: float, seconds: float, responses: Responses | None = None) -> Responses:
        """Send `rate` requests a second for `seconds`, and wait for the responses. They are added to `responses`."""
        responses = responses or Responses()
        requests, begun, sent, total = self._traffic.requests, time.monotonic(), 0, int(rate * seconds)
        responses.requests += total
        while sent < total:
            due = min(total, int((time.monotonic() - begun) * rate) + 1)
            for number in range(sent, due):
                self._waiting.append((requests[self._sent % len(requests)], begun + number / rate, responses))
                self._sent += 1
            sent = due
            self._send()
            await asyncio.sleep(_TICK_SECONDS)
        deadline = time.monotonic() + _DRAIN_SECONDS
        while (self._waiting or self._in_flight) and time.monotonic() < deadline:
            await asyncio.sleep(_TICK_SECONDS)
        return responses

    async def _connect(self) -> None:
        make = lambda: Connection(self._answered, self._lost)  # noqa: E731
        _, connection = await self._loop.create_connection(make, *self._address)
        self._open.add(connection)
        self._idle.append(connection)

    async def _reconnect(self) -> None:
        while True:
            try:
                await self._connect()
            except OSError:
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return self._send()

    def _send(self) -> None:
        """Give requests that are due to idle connections."""
        while self._waiting and self._idle:
            connection = self._idle.popleft()
            if connection.is_open:
                request, due, responses = self._waiting.popleft()
                self._in_flight[connection] = due, responses
                connection.send(request)

    def _answered(self, connection: Connection, status: int, response: bytes) -> None:
        due, responses = self._in_flight.pop(connection)
        now = time.monotonic()  # uvloop's own clock counts whole milliseconds
        responses.seconds = now - responses.begun
        responses.statuses[status] += 1
        is_refused = status == HTTPStatus.BAD_REQUEST and self._traffic.has_refusals
        if is_refused or CUT < status < HTTPStatus.BAD_REQUEST:
            responses.latencies.append(now - due)
            responses.refused += is_refused
        else:
            responses.failures.setdefault(status, response)
        if self._keeps_ids and status == HTTPStatus.OK:
            responses.ids.append(response.partition(_ID)[2].partition(b"\r\n")[0])
        if connection.is_open:
            self._idle.append(connection)
            self._send()

    def _lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        if not self._is_over:
            task = self._loop.create_task(self._reconnect())
            self._reopening.add(task)
            task.add_done_callback(self._reopening.discard)
