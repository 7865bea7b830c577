"""What takes long: minutes of load, and the start on a log of a gigabyte."""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.request import Request, urlopen

import uvloop

from bench import servers
from bench.load import closed_loop, traffic
from bench.load.event import BODY, TARGET
from bench.load.open_loop import OpenLoop
from bench.measure import Options, Row, progress
from bench.scenarios.recovery import build
from bench.servers import Server
from collector.config import load_settings
from collector.sinks import Status, statuses

_CONNECTIONS: Final = 64
_SHARE: Final = 0.7
_EVERY_REFUSAL: Final = "rejects_per_second = 1e9"
"""Each event that is refused takes the whole way, to the dead letters; by default most would be answered 429."""
_MOST_MIB: Final = 5.0
_SLICE_SECONDS: Final = 10.0
_START_MIB: Final = 1024
_MOST_START: Final = 2.0
_GOAL_START: Final = 1.0


def of_soak(options: Options) -> Iterator[Row]:
    """Memory, delay and the sink's lag under a long load at 70 % of saturation, of which a part is refused."""
    with (
        tempfile.TemporaryDirectory() as folder,
        servers.collector(Path(folder), of_property=_EVERY_REFUSAL) as server,
    ):
        full = closed_loop.run(server.port, traffic.shop().requests, _CONNECTIONS, options.seconds)
        rate = full.requests / full.seconds * _SHARE
        slices = uvloop.run(_soak(server, Path(folder), rate, options.soak_minutes * 60))
    failed = sum(each["failed"] for each in slices)
    if failed:
        raise SystemExit(f"bench: {failed:.0f} requests failed in the soak")
    calm = [each for each in slices if each["at"] >= 60] or slices
    growth = max(each["mib"] for each in calm) - calm[0]["mib"]
    early, late = calm[: max(1, len(calm) // 5)], calm[-max(1, len(calm) // 5) :]
    refused = sum(each["refused"] for each in slices) / sum(each["answered"] for each in slices)
    beside = f"{rate:,.0f} requests/s for {options.soak_minutes:g} min, {refused:.1%} refused"
    details: dict[str, object] = {"slices": slices}
    yield Row("soak", "memory growth", growth, "MiB", most=_MOST_MIB, beside=beside, details=details)
    first, last = (sorted(each["p99"] for each in part)[len(part) // 2] for part in (early, late))
    yield Row("soak", "p99, last fifth", last, "ms", f"first fifth {first:.2f} ms", last / first)
    yield Row("soak", "lag of the file sink, most", max(each["lag"] for each in calm), "s")


async def _soak(server: Server, folder: Path, rate: float, seconds: float) -> list[dict[str, float]]:
    slices: list[dict[str, float]] = []
    settings = load_settings(str(folder / "collector.toml"))
    async with OpenLoop(server.port, traffic.shop(), _CONNECTIONS) as loop:
        begun = time.monotonic()
        while (at := time.monotonic() - begun) < seconds:
            answered = await loop.run(rate, min(_SLICE_SECONDS, seconds - at + 0.1))
            lag = max(map(_seconds_behind, await asyncio.to_thread(lambda: list(statuses(settings)))))
            slices.append(
                {
                    "at": at,
                    "mib": servers.mib(*server.workers),
                    "p50": answered.at(0.5),
                    "p99": answered.at(0.99),
                    "lag": lag,
                    "failed": answered.failed,
                    "refused": answered.refused,
                    "answered": len(answered.latencies),
                }
            )
            progress(f"soak: {at:.0f} of {seconds:.0f} s, p99 {slices[-1]['p99']:.2f} ms, {slices[-1]['mib']:.1f} MiB")
    return slices


def _seconds_behind(status: Status) -> float:
    oldest = status.lag.since_ms if status.lag else None
    return 0.0 if oldest is None else time.time() - oldest / 1000


def of_start(options: Options) -> Iterator[Row]:  # noqa: ARG001 - the bound is for this size
    """From the start of the process to the first 200, on a log of 1 GiB, beside an empty one."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        empty, long = Path(folder) / "empty", Path(folder) / "long"
        empty.mkdir()
        build(str(long / "log" / "00"), _START_MIB)
        times = {each.name: _first_answer(each) for each in (empty, long)}
    yield Row(
        "start",
        f"{_START_MIB:,} MiB of log to the first 200",
        times["long"],
        "s",
        f"empty log {times['empty']:.2f} s",
        most=_MOST_START,
        goal=_GOAL_START,
    )


def _first_answer(folder: Path) -> float:
    begun = time.monotonic()
    with servers.collector(folder) as server:
        request = Request(f"http://127.0.0.1:{server.port}{TARGET}", BODY, {"content-type": "application/json"})
        with urlopen(request):
            return time.monotonic() - begun
