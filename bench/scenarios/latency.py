"""How long after its 200 an event reaches an http sink that is idle and healthy."""

import asyncio
import random
import statistics
import time
from collections.abc import Iterator
from typing import Final

import aiohttp
from aiohttp import web

from bench import BenchError, servers
from bench.load.event import BODY, TARGET
from bench.measure import Options, Row

_MOST_MS: Final = 200.0
_SEED: Final = 1
_PAUSES: Final = (0.05, 0.5)
_SINK: Final = """
[[sink]]
type = "http"
url = "http://127.0.0.1:{port}/"
compression = "none"
"""
Arrivals = asyncio.Queue[tuple[float, int]]


def of_latency(options: Options) -> Iterator[Row]:
    """How long after its 200 an event, sent alone, reaches an idle http sink"""
    latencies = sorted(asyncio.run(_measure(options.size(200, 5))))
    middle, late = statistics.median(latencies), latencies[-1 - len(latencies) // 100]
    beside = f"median {middle:.0f} ms, p99 {late:.0f} ms of {len(latencies)} events"
    yield Row("from the 200 to an idle sink, longest", latencies[-1], "ms", most=_MOST_MS, beside=beside)


async def _measure(events: int) -> list[float]:
    """Milliseconds of each event."""
    arrivals: Arrivals = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        arrivals.put_nowait((time.perf_counter(), (await request.read()).count(b"\n")))
        return web.Response()

    receiver = web.Application()
    receiver.router.add_post("/", take)
    runner = web.AppRunner(receiver)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        with servers.collector(sinks=_SINK.format(port=runner.addresses[0][1])) as ours:
            draw = random.Random(_SEED)
            async with aiohttp.ClientSession(f"http://127.0.0.1:{ours.port}") as session:
                return [await _one(session, arrivals, draw.uniform(*_PAUSES)) for _ in range(events)]
    finally:
        await runner.cleanup()


async def _one(session: aiohttp.ClientSession, arrivals: Arrivals, pause: float) -> float:
    await asyncio.sleep(pause)
    async with session.post(TARGET, data=BODY, headers={"content-type": "application/json"}) as response:
        response.raise_for_status()
    answered = time.perf_counter()
    arrived, count = await arrivals.get()
    if count != 1:
        raise BenchError(f"{count} events arrived at once, expected each alone")
    return (arrived - answered) * 1000
