"""Minutes of load at 70 % of saturation, of which a part is refused: memory, latency and the sink's lag."""

import asyncio
import time
from collections.abc import Iterator
from typing import Final

import uvloop

from bench import BenchError, servers
from bench.load import closed_loop, traffic
from bench.load.open_loop import OpenLoop
from bench.measure import CONNECTIONS, Options, Row, progress
from bench.servers import Server
from collector.settings import load_settings
from collector.ship.status import Status, statuses
from wal.log import now_ms

_SHARE: Final = 0.7
_MOST_MIB: Final = 5.0
_SLICE_SECONDS: Final = 10.0
Slice = dict[str, float]


def of_soak(options: Options) -> Iterator[Row]:
    """Memory, latency and the sink's lag under ten minutes of load, of which a part is refused"""
    minutes = options.minutes or options.size(10.0, 0.02)
    with servers.collector(of_property=servers.EVERY_REFUSAL) as server:
        full = closed_loop.run(server.port, traffic.shop().requests, CONNECTIONS, options.seconds)
        rate = full.requests / full.seconds * _SHARE
        slices = uvloop.run(_soak(server, rate, minutes * 60))
    if failed := sum(each["failed"] for each in slices):
        raise BenchError(f"{failed:.0f} requests failed in the soak")
    calm = [each for each in slices if each["at"] >= 60] or slices
    growth = max(each["mib"] for each in calm) - calm[0]["mib"]
    refused = sum(each["refused"] for each in slices) / sum(each["answered"] for each in slices)
    beside = f"{rate:,.0f} requests/s for {minutes:g} min, {refused:.1%} refused"
    yield Row("memory growth", growth, "MiB", most=_MOST_MIB, beside=beside, details={"slices": slices})
    fifth = max(1, len(calm) // 5)
    first, last = (sorted(each["p99"] for each in part)[len(part) // 2] for part in (calm[:fifth], calm[-fifth:]))
    yield Row("p99, last fifth", last, "ms", f"first fifth {first:.2f} ms", last / first)
    yield Row("lag of the file sink, most", max(each["lag"] for each in calm), "s")


async def _soak(server: Server, rate: float, seconds: float) -> list[Slice]:
    slices: list[Slice] = []
    async with OpenLoop(server.port, traffic.shop(), CONNECTIONS) as loop:
        begun = time.monotonic()
        while (at := time.monotonic() - begun) < seconds:
            slices.append(await _slice(server, loop, rate, min(_SLICE_SECONDS, seconds - at + 0.1)) | {"at": at})
            progress(f"soak: {at:.0f} of {seconds:.0f} s, p99 {slices[-1]['p99']:.2f} ms, {slices[-1]['mib']:.1f} MiB")
    return slices


async def _slice(server: Server, loop: OpenLoop, rate: float, seconds: float) -> Slice:
    responses = await loop.run(rate, seconds)
    settings = load_settings(str(server.folder / "collector.toml"))
    lag = max(map(_seconds_behind, await asyncio.to_thread(lambda: list(statuses(settings)))))
    return {
        "mib": server.mib,
        "p50": responses.at(0.5),
        "p99": responses.p99,
        "lag": lag,
        "failed": responses.failed,
        "refused": responses.refused,
        "answered": len(responses.latencies),
    }


def _seconds_behind(status: Status) -> float:
    return status.lag.age_seconds(now_ms()) if status.lag else 0.0
