"""One sink is down while another is healthy, under a steady load; then it comes back."""

import asyncio
import math
import socket
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Final, NamedTuple
from urllib.error import URLError
from urllib.request import urlopen

import uvloop
import zstandard
from msgspec import json

from bench import BenchError, servers
from bench.load import traffic
from bench.load.open_loop import OpenLoop, Responses
from bench.measure import Options, Row, progress
from bench.processes import started
from bench.receiver import Arrival, id_of
from bench.servers import Server
from collector.settings import load_settings
from collector.ship.status import statuses
from wal.files import Files
from wal.folder import LogFolder

_WORKERS: Final = 2
_PER_SECOND: Final = 200
_CONNECTIONS: Final = 16
_WARM_UP_SECONDS: Final = 3.0
_DROP_SECONDS: Final = 150
"""Segments are looked at once a minute; the last one is sealed a minute after its first event."""
_GIVE_UP_SECONDS: Final = 300
_MOST_RATIO: Final = 1.5
_MOST_LAG_SECONDS: Final = 1.0
_MOST_MIB: Final = 8
_MOST_PACE: Final = 0.1
"""A log catches up at ten times its intake, at least."""
_HEALTHY: Final = '[[sink]]\ntype = "file"\nname = "healthy"\ndir = "events"\nflush_seconds = 0.2\n'
_BROKEN: Final = '[[sink]]\ntype = "http"\nname = "broken"\nurl = "http://127.0.0.1:{port}/{{log_id}}"\n'


class Minute(NamedTuple):
    """A minute of load on a collector with the healthy sink alone, and at the same time on the one with both.

    At its end, of the latter: memory of the workers in MiB, segments, states of the bad sink.
    """

    calm: Responses
    load: Responses
    mib: float
    segments: int
    states: set[str]


class Return(NamedTuple):
    """After the bad sink came back: batches, ids of events; load meanwhile; segments left; seconds it took."""

    arrivals: list[Arrival]
    ids: list[bytes]
    load: Responses
    segments: int
    seconds: float


def of_outage(options: Options) -> Iterator[Row]:
    """One sink down for an hour beside a healthy one: intake, lag, memory, catch-up, losses"""
    duration = options.minutes or options.size(60.0, 0.1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # bound, but not listening: connections are refused
        both = _HEALTHY + _BROKEN.format(port=silent.getsockname()[1])
        with (
            servers.collector(workers=_WORKERS, sinks=_HEALTHY, retain_hours=0) as calm,
            servers.collector(workers=_WORKERS, sinks=both, retain_hours=0) as server,
        ):
            minutes, back = uvloop.run(_outage(calm, server, silent, duration))
            filed, lags = _files(server.folder / "events")
            _, calm_lags = _files(calm.folder / "events")
    acknowledged = [each for minute in minutes for each in minute.load.ids] + back.load.ids
    yield from _intake(minutes, back)
    yield from _lag(calm_lags, lags)
    yield from _memory(minutes)
    yield from _catch_up(back)
    yield _exactly_once("healthy", acknowledged, filed)
    yield _exactly_once("broken", acknowledged, back.ids)
    yield from _segments(minutes, back, int(duration))


async def _outage(calm: Server, server: Server, silent: socket.socket, minutes: float) -> tuple[list[Minute], Return]:
    async with (
        OpenLoop(calm.port, traffic.singles(), _CONNECTIONS) as without,
        OpenLoop(server.port, traffic.singles(), _CONNECTIONS, keeps_ids=True) as load,
    ):
        outage: list[Minute] = []
        for number in range(math.ceil(minutes) + 1):
            seconds = min(60.0, minutes * 60) if number else _WARM_UP_SECONDS
            loads = await asyncio.gather(without.run(_PER_SECOND, seconds), load.run(_PER_SECOND, seconds))
            settings = load_settings(str(server.folder / "collector.toml"))
            states = {status.state for status in statuses(settings) if status.sink == "broken"}
            outage.append(Minute(*loads, server.mib, _count_segments(server), states))
            _report(number, outage[-1])
        return outage, await _return(server, load, silent)


def _report(number: int, minute: Minute) -> None:
    for name, load in (("without", minute.calm), ("with", minute.load)):
        for status, response in load.failures.items():
            progress(f"{name} the sink that is down, a request failed: {status} {response!r}")
    progress(
        f"minute {number}: {minute.load.failed} of {minute.load.requests} failed, p99 {minute.load.p99:.2f} ms "
        f"({minute.calm.p99:.2f} without the sink that is down), {minute.mib:.1f} MiB, {minute.segments} segments"
    )


def _count_segments(server: Server) -> int:
    return sum(len(LogFolder(Files(), str(shard)).segments()) for shard in (server.folder / "log").iterdir())


async def _return(server: Server, load: OpenLoop, silent: socket.socket) -> Return:
    """Bring the sink up, and keep the load on until it has caught up."""
    begun, responses = time.monotonic(), Responses()
    with _receiver(silent) as url:
        while not _has_caught_up(arrivals := json.decode(await _get(f"{url}/arrivals"), type=list[Arrival])):
            await load.run(_PER_SECOND, 2, responses)
            if time.monotonic() - begun > _GIVE_UP_SECONDS:
                raise BenchError(f"the sink did not catch up in {_GIVE_UP_SECONDS} s")
        seconds = time.monotonic() - begun
        segments = await _fewest_segments(server)
        ids = (await _get(f"{url}/ids")).splitlines()
    return Return(arrivals, ids, responses, segments, seconds)


async def _fewest_segments(server: Server) -> int:
    """The number left once delivered segments had time to be dropped."""
    for _ in range(_DROP_SECONDS):
        await asyncio.sleep(1)
        if (count := _count_segments(server)) <= 2 * _WORKERS:
            break
    return count


@contextmanager
def _receiver(bound: socket.socket) -> Iterator[str]:
    command = [sys.executable, "-m", "bench.receiver", str(bound.fileno())]
    with started(command, pass_fds=[bound.fileno()]):
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


async def _get(url: str) -> bytes:
    deadline = time.monotonic() + 20
    while True:
        try:
            return await asyncio.to_thread(_read, url)
        except URLError:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.1)


def _read(url: str) -> bytes:
    with urlopen(url) as response:
        content: bytes = response.read()
        return content


def _has_caught_up(arrivals: list[Arrival]) -> bool:
    """Whether the newest batch of each log is of less than a second of intake, and not the only one."""
    logs = list(_by_log(arrivals).values())
    return len(logs) == _WORKERS and all(len(each) > 1 and each[-1][2] < _PER_SECOND for each in logs)


def _by_log(arrivals: list[Arrival]) -> dict[str, list[Arrival]]:
    return {log: list(each) for log, each in groupby(sorted(arrivals, key=itemgetter(1, 0)), key=itemgetter(1))}


def _files(events: Path) -> tuple[list[bytes], list[float]]:
    """The ids in all files, and for each file the seconds from the receipt of its oldest event to its being there."""
    ids, lags = [], []
    for path in events.rglob("*.zst"):
        lines = zstandard.decompress(path.read_bytes()).splitlines()
        received_ms = int(lines[0].partition(b'"received_at":')[2].partition(b",")[0])
        ids += [id_of(line) for line in lines]
        lags.append(path.stat().st_ctime - received_ms / 1000)  # changed last when the file was linked into place
    return ids, lags


def _intake(minutes: list[Minute], back: Return) -> Iterator[Row]:
    failed = sum(load.failed for load in (back.load, *(minute.load for minute in minutes)))
    reference = f"without the sink {sum(minute.calm.failed for minute in minutes)}"
    yield Row("failed requests", failed, "", reference, most=0)
    calm, during = ([each.p99 for each in loads] for loads in zip(*(minute[:2] for minute in minutes[1:]), strict=True))
    ratio = statistics.median(one / other for one, other in zip(during, calm, strict=True))
    middle, reference = statistics.median(during), f"without the sink {statistics.median(calm):.2f} ms"
    yield Row("p99 of a minute, median", middle, "ms", reference, ratio, _MOST_RATIO)
    yield Row("p99 of a minute, worst", max(during), "ms", f"without the sink {max(calm):.2f} ms")
    yield Row("p99 while the sink catches up", back.load.p99, "ms")


def _lag(calm: list[float], during: list[float]) -> Iterator[Row]:
    calm_p99, p99 = (statistics.quantiles(lags, n=100)[98] for lags in (calm, during))
    yield Row("healthy sink, receipt to arrival, p99", p99, "s", f"alone {calm_p99:.2f} s")
    yield Row("healthy sink, longest", max(during), "s", f"alone {max(calm):.2f} s", most=_MOST_LAG_SECONDS)


def _memory(minutes: list[Minute]) -> Iterator[Row]:
    first, *_, last = (minute.mib for minute in [*minutes[1:], minutes[-1]])
    growth = max(minute.mib for minute in minutes[1:]) - first
    beside = f"after a minute {first:.1f} MiB, at the end {last:.1f}"
    yield Row("memory growth of both workers", growth, "MiB", most=_MOST_MIB, beside=beside)


def _catch_up(back: Return) -> Iterator[Row]:
    yield Row("broken sink: has all, after it is up", back.seconds, "s")
    pace, intake = min(map(_pace, _by_log(back.arrivals).values())), _PER_SECOND / _WORKERS
    ratio = intake / pace if pace else math.inf
    yield Row("intake of a log", intake, "events/s", f"its catch-up {pace:,.0f} events/s", ratio, _MOST_PACE)


def _pace(arrivals: list[Arrival]) -> float:
    """Events a second of one log from its first batch to the last one of more than a second of intake."""
    last = max((at for at, arrival in enumerate(arrivals) if arrival[2] >= _PER_SECOND), default=0)
    seconds = arrivals[last][0] - arrivals[0][0]
    return sum(events for _, _, events in arrivals[1 : last + 1]) / seconds if last else 0.0


def _exactly_once(sink: str, acknowledged: list[bytes], found: list[bytes]) -> Row:
    expected, actual = Counter(acknowledged), Counter(found)
    lost, extra = (expected - actual).total(), (actual - expected).total()
    beside = f"{lost} lost, {extra} twice or never acknowledged, of {len(acknowledged)} acknowledged events"
    return Row(f"{sink} sink: events not exactly once", lost + extra, most=0, beside=beside)


def _segments(minutes: list[Minute], back: Return, sealed: int) -> Iterator[Row]:
    """Each worker seals a segment a minute, which only the bad sink holds."""
    kept, states = minutes[-1].segments, minutes[-1].states
    missing = max(0, _WORKERS * sealed - kept) + len(states - {"down"})
    beside = f"{kept} segments, state {', '.join(sorted(states))}"
    yield Row("segments that the broken sink should hold, missing", missing, most=0, beside=beside)
    yield Row("segments left after its return", back.segments, most=2 * _WORKERS)
