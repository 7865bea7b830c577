"""How long a request takes at half the rate that saturates the server; and what group commit costs by itself."""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import uvloop

from bench import BenchError, servers
from bench.load import traffic
from bench.load.event import BODY
from bench.load.open_loop import OpenLoop, Responses
from bench.measure import CONNECTIONS, Options, Row, load, progress
from bench.servers import Server
from wal.committer import Committer
from wal.log import Log

_SYNC_SECONDS: Final = 2.0
_LEAST_SYNCS: Final = 2
"""A disk that others use may take all of a short time for one."""
_MOST: Final = 3.0
_GOAL: Final = 2.0
_EVENTS_A_BLOCK: Final = 54
"""As many as come together at 64 connections under full load."""


def of_delay(options: Options) -> Iterator[Row]:
    """p99 of a request at half the saturating rate, against those of fdatasync and the echo at the same rate"""
    latencies: dict[str, list[float]] = {"collector": [], "echo": []}
    rounds: list[tuple[float, float, float]] = []
    with servers.echo() as echo, servers.collector() as ours:
        rate = load(ours, traffic.singles(), options.seconds).rate / 2
        for number in range(options.rounds):
            progress(f"half the saturating rate: round {number + 1} of {options.rounds}")
            mine, theirs = (uvloop.run(_open_loop(server, rate, options.seconds)) for server in (ours, echo))
            if failed := mine.failed + theirs.failed:
                raise BenchError(f"{failed} requests failed at {rate:,.0f} a second")
            rounds.append((mine.p99, theirs.p99, p99_of_fdatasync(options.size(_SYNC_SECONDS, 0.1))))
            latencies["collector"] += mine.latencies
            latencies["echo"] += theirs.latencies
    mine_p99, echo_p99, disk_p99 = (statistics.median(values) for values in zip(*rounds, strict=True))
    yield Row(
        "p99 of single POST at half rate",
        mine_p99,
        "ms",
        f"fdatasync {disk_p99:.2f} + echo {echo_p99:.2f} ms",
        statistics.median(ours_ / (echo_ + disk) for ours_, echo_, disk in rounds),
        _MOST,
        _GOAL,
        f"{rate:,.0f} events/s",
        {"rounds": rounds, "latencies": {name: _histogram(values) for name, values in latencies.items()}},
    )


def of_commit(options: Options) -> Iterator[Row]:
    """Group commit alone, without HTTP: as many coroutines as connections append a line, or 100, at a time"""
    for events in (1, traffic.EVENTS_A_BATCH):
        spent, count, seconds = uvloop.run(_commit(options.seconds, events))
        name = f"group commit alone, {events} at a time"
        yield Row(name, spent / count * 1e6, "us", beside=f"{count / seconds:,.0f} events/s")


def p99_of_fdatasync(most_seconds: float = _SYNC_SECONDS) -> float:
    """Milliseconds of an fdatasync after a block of usual size, with nothing else going on."""
    block = BODY * _EVENTS_A_BLOCK
    times: list[float] = []
    with tempfile.TemporaryFile() as file:
        begun = time.perf_counter()
        while (now := time.perf_counter()) - begun < most_seconds or len(times) < _LEAST_SYNCS:
            os.write(file.fileno(), block)
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - now)
    return statistics.quantiles(times, n=100)[98] * 1000


async def _open_loop(server: Server, rate: float, seconds: float) -> Responses:
    async with OpenLoop(server.port, traffic.singles(), CONNECTIONS) as loop:
        await loop.run(rate, min(seconds, 1))
        return await loop.run(rate, seconds)


async def _commit(seconds: float, events: int) -> tuple[float, int, float]:
    """CPU seconds, events and seconds."""
    lines, count = b'{"event":%b}\n' % BODY * events, 0
    with tempfile.TemporaryDirectory() as folder:
        committer = Committer(Log(str(Path(folder) / "00")))
        begun, before = time.monotonic(), time.process_time()

        async def append() -> None:
            nonlocal count
            while time.monotonic() - begun < seconds:
                await committer.append(lines, events)
                count += events

        await asyncio.gather(*(append() for _ in range(CONNECTIONS)))
        spent, took = time.process_time() - before, time.monotonic() - begun
        await committer.close()
        committer.log.close()
    return spent, count, took


def _histogram(latencies: list[float]) -> list[tuple[float, int]]:
    """Counts by upper bound in ms; the bounds grow by a tenth."""
    counts: dict[float, int] = {}
    bound = 0.05
    for latency in sorted(latencies):
        while latency * 1000 > bound:
            bound *= 1.1
        counts[round(bound, 4)] = counts.get(round(bound, 4), 0) + 1
    return list(counts.items())
