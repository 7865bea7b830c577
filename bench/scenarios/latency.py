"""`python -m bench.latency`: how long after its 200 an event reaches a sink that is idle and healthy."""

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
from aiohttp import web

from bench import servers
from bench.load.event import BODY

_BOUND_MS = 200.0
_TARGET = "event?portal_id=33167&prop_id=564990801&resp_type=json"
_SINK = """
[[sink]]
type = "http"
url = "http://127.0.0.1:{port}/"
compression = "none"
"""


def main() -> None:
    """Send single events with pauses, print the latencies, and exit with 1 where the bound is broken."""
    options = _options()
    random.seed(options.seed)
    latencies = sorted(asyncio.run(_measure(options.events)))
    middle, late = statistics.median(latencies), latencies[-1 - len(latencies) // 100]
    print(f"{len(latencies)} events, each alone, with pauses of 0.05 to 0.5 s; http sink as it is by default")
    print(f"from the 200 to the receiver: median {middle:.0f} ms, p99 {late:.0f} ms, longest {latencies[-1]:.0f} ms")
    holds = latencies[-1] <= _BOUND_MS
    print(f"bound ({_BOUND_MS:.0f} ms for each): {'holds' if holds else 'broken'}")
    sys.exit(0 if holds else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.latency", description=__doc__)
    parser.add_argument("--events", type=int, default=200, help="how many (200)")
    parser.add_argument("--seed", type=int, default=1, help="of the pauses (1)")
    return parser.parse_args()


async def _measure(events: int) -> list[float]:
    """Milliseconds of each event."""
    arrivals: asyncio.Queue[tuple[float, int]] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        arrivals.put_nowait((time.perf_counter(), (await request.read()).count(b"\n")))
        return web.Response()

    receiver = web.Application()
    receiver.router.add_post("/", take)
    runner = web.AppRunner(receiver)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        sink = _SINK.format(port=runner.addresses[0][1])
        with tempfile.TemporaryDirectory() as folder, servers.collector(Path(folder), sinks=sink) as (ours, _):
            async with aiohttp.ClientSession(f"http://127.0.0.1:{ours}/") as session:
                return [await _one(session, arrivals) for _ in range(events)]
    finally:
        await runner.cleanup()


async def _one(session: aiohttp.ClientSession, arrivals: "asyncio.Queue[tuple[float, int]]") -> float:
    await asyncio.sleep(random.uniform(0.05, 0.5))
    headers = {"content-type": "application/json"}
    async with session.post(_TARGET, data=BODY, headers=headers) as answer:
        answer.raise_for_status()
    answered = time.perf_counter()
    arrived, count = await arrivals.get()
    if count != 1:
        sys.exit(f"bench: {count} events arrived at once, expected each alone")
    return (arrived - answered) * 1000


if __name__ == "__main__":
    main()
