"""Connections that send a byte a second: what honest requests feel of them, and what memory they hold."""

import asyncio
import resource
from collections import Counter
from collections.abc import Iterator
from typing import Final, cast

import uvloop

from bench import servers
from bench.load import traffic
from bench.load.event import TARGET
from bench.load.open_loop import OpenLoop, Responses
from bench.measure import Options, Row
from bench.servers import Server

_WORKERS: Final = 2
_HONEST_PER_SECOND: Final = 200
_HONEST_CONNECTIONS: Final = 16
_WARM_UP_SECONDS: Final = 3.0
_TICKS: Final = 20
"""In a second each slow connection sends one byte: a twentieth of them at a time."""
_MOST_RATIO: Final = 3.0
_MOST_MIB: Final = 64
_REQUEST: Final = b"POST %b HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n" % TARGET.encode()
_SLOW_REQUESTS: Final = (_REQUEST + b"x-slow: ", _REQUEST + b"content-length: 4096\r\n\r\n")


class _Slow(asyncio.Protocol):
    """A connection that never ends its request."""

    def __init__(self, crowd: "_Crowd", request: bytes) -> None:
        self._crowd = crowd
        self._request = request
        self.transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.WriteTransport, transport)  # uvloop's transports don't subclass asyncio's
        self.transport.write(self._request)
        self._crowd.open.append(self)

    def data_received(self, data: bytes) -> None:
        self._crowd.answers[data[9:12].decode("latin-1")] += 1

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        self._crowd.open.remove(self)


class _Crowd:
    """Slow connections, each opened again when it is cut."""

    def __init__(self, port: int, connections: int) -> None:
        self.open: list[_Slow] = []
        self.answers: Counter[str] = Counter()
        self._port = port
        self._connections = connections

    async def run(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        for tick in range(round(seconds * _TICKS)):
            for each in self.open[tick % _TICKS :: _TICKS]:
                if each.transport and not each.transport.is_closing():
                    each.transport.write(b"x")
            for number in range(min(self._connections - len(self.open), self._connections // _TICKS + 1)):
                request = _SLOW_REQUESTS[number % len(_SLOW_REQUESTS)]
                await loop.create_connection(lambda request=request: _Slow(self, request), "127.0.0.1", self._port)  # type: ignore[misc]
            await asyncio.sleep(1 / _TICKS)
        for each in self.open:
            if each.transport:
                each.transport.abort()


def of_slow(options: Options) -> Iterator[Row]:
    """What honest requests feel of 1,000 connections that send a byte a second, and the memory that those hold"""
    seconds, connections = options.size(60, 2), options.size(1_000, 100)
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most_files, connections + 1024), most_files))
    with servers.collector(workers=_WORKERS) as server:
        calm, disturbed, crowd, grown = uvloop.run(_compare(server, seconds, connections))
    ratio, reference = disturbed.p99 / calm.p99, f"without {calm.p99:.2f} ms"
    beside = f"{connections:,} slow connections for {seconds} s"
    yield Row("p99 beside slow connections", disturbed.p99, "ms", reference, ratio, _MOST_RATIO, beside=beside)
    beside = f"{calm.requests} requests without, {disturbed.requests} with slow connections"
    yield Row("honest requests that failed", calm.failed + disturbed.failed, most=0, beside=beside)
    beside = f"slow connections answered: {dict(crowd.answers)}"
    yield Row("memory growth by slow connections", grown, "MiB", most=_MOST_MIB, beside=beside)


async def _compare(server: Server, seconds: int, connections: int) -> tuple[Responses, Responses, _Crowd, float]:
    """The responses without and with the crowd, the crowd, and the memory that it took at most, in MiB."""
    crowd = _Crowd(server.port, connections)
    async with OpenLoop(server.port, traffic.singles(), _HONEST_CONNECTIONS) as honest:
        await honest.run(_HONEST_PER_SECOND, _WARM_UP_SECONDS)
        before, calm = server.mib, await honest.run(_HONEST_PER_SECOND, seconds / 2)
        memory = asyncio.create_task(_most_mib(server))
        disturbed, _ = await asyncio.gather(honest.run(_HONEST_PER_SECOND, seconds), crowd.run(seconds))
        memory.cancel()
        await honest.run(_HONEST_PER_SECOND, seconds / 2, calm)
    return calm, disturbed, crowd, await memory - before


async def _most_mib(server: Server) -> float:
    most = 0.0
    try:
        while True:
            most = max(most, server.mib)
            await asyncio.sleep(0.5)
    except asyncio.CancelledError:
        return most
