"""`python -m bench.slow`: what honest requests feel of connections that send a byte a second, and what those hold."""

import argparse
import asyncio
import os
import resource
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final, cast

import psutil
import uvloop

from bench import servers
from bench.load.event import TARGET
from bench.load.steady import Phase, steady, together

_WORKERS: Final = 2
_HONEST_PER_SECOND: Final = 200
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
        self.transport = cast(asyncio.WriteTransport, transport)  # uvloop's are no instances of it
        self.transport.write(self._request)
        self._crowd.open.append(self)

    def data_received(self, data: bytes) -> None:
        self._crowd.answers[data[9:12].decode("latin-1")] += 1

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._crowd.open.remove(self)


class _Crowd:
    """So many slow connections, each opened again when it is cut."""

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


def main() -> int:
    """Measure, print, and return 1 where the bound does not hold."""
    parser = argparse.ArgumentParser(prog="python -m bench.slow", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="how long the slow connections last (60)")
    parser.add_argument("--connections", type=int, default=1000, help="how many there are at a time (1000)")
    options = parser.parse_args()
    servers.check_cores()
    os.sched_setaffinity(0, {servers.LOAD_CORE})
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most_files, options.connections + 1024), most_files))
    with tempfile.TemporaryDirectory() as folder, servers.collector(Path(folder), _WORKERS) as (port, workers):
        return uvloop.run(_compare(port, workers, options))


async def _compare(port: int, workers: list[psutil.Process], options: argparse.Namespace) -> int:
    await _honest(port, _WARM_UP_SECONDS)
    before, quiet = _mib(workers), await _honest(port, options.seconds / 2)
    crowd = _Crowd(port, options.connections)
    memory = asyncio.create_task(_most_mib(workers))
    disturbed, _ = await asyncio.gather(_honest(port, options.seconds), crowd.run(options.seconds))
    memory.cancel()
    most = await memory
    again = await _honest(port, options.seconds / 2)
    calm = together(quiet, again)
    ratio = disturbed.p99 / calm.p99
    failed = calm.failed + disturbed.failed
    print(
        f"{options.connections} connections send a byte a second for {options.seconds} s; {_WORKERS} workers, one core"
    )
    print(f"honest requests: {len(calm.latencies)} undisturbed, {len(disturbed.latencies)} disturbed, {failed} failed")
    print(f"p99 undisturbed {calm.p99:.2f} ms, disturbed {disturbed.p99:.2f} ms: {ratio:.2f} times")
    print(f"slow connections answered: {dict(crowd.answers)}")
    print(f"memory of the workers: {before:.0f} MiB before, {most:.0f} at the most, {_mib(workers):.0f} after")
    holds = ratio <= _MOST_RATIO and failed == 0 and most - before <= _MOST_MIB
    print(f"bound ({_MOST_RATIO:g} times, none failed, {_MOST_MIB} MiB more): {'holds' if holds else 'DOES NOT HOLD'}")
    return 0 if holds else 1


async def _honest(port: int, seconds: float) -> Phase:
    return await steady(port, seconds, _HONEST_PER_SECOND)


async def _most_mib(workers: list[psutil.Process]) -> float:
    most = 0.0
    try:
        while True:
            most = max(most, _mib(workers))
            await asyncio.sleep(0.5)
    except asyncio.CancelledError:
        return most


def _mib(workers: list[psutil.Process]) -> float:
    return float(sum(worker.memory_info().rss for worker in workers)) / (1 << 20)


if __name__ == "__main__":
    sys.exit(main())
