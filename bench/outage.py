"""`python -m bench.outage`: one sink is down while another is healthy, under a steady load; then it comes back."""

import argparse
import asyncio
import os
import platform
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Final, NamedTuple
from urllib.error import URLError
from urllib.request import urlopen

import psutil
import uvloop
import zstandard
from msgspec import json

from bench import servers
from bench.receiver import Arrival, id_of
from bench.steady import Phase, steady, together
from collector.config import load_settings
from collector.sinks import statuses
from tests.processes import started
from wal.files import Files
from wal.folder import LogFolder

_WORKERS: Final = 2
_WARM_UP_SECONDS: Final = 3.0
_DROP_SECONDS: Final = 150
"""Segments are looked at once a minute; the last one is sealed a minute after its first event."""
_GIVE_UP_SECONDS: Final = 300
_MOST_RATIO: Final = 1.5
_MOST_LAG_SECONDS: Final = 1.0
_MOST_MIB: Final = 8
_LEAST_CATCH_UP: Final = 10
_HEALTHY: Final = """
[[sink]]
type = "file"
name = "healthy"
dir = "events"
flush_seconds = 0.2
"""
_BROKEN: Final = """
[[sink]]
type = "http"
name = "broken"
url = "http://127.0.0.1:{port}/{{log_id}}"
"""


class Minute(NamedTuple):
    """A minute of load on a collector with the healthy sink alone, and at the same time on the one with both.

    And what stood at its end with the latter: memory of the workers in MiB, segments, states of the bad sink.
    """

    calm: Phase
    load: Phase
    mib: float
    segments: int
    states: set[str]


class Return(NamedTuple):
    """What came when the bad sink was back: batches, ids of events; load meanwhile; segments left; seconds it took."""

    arrivals: list[Arrival]
    ids: list[bytes]
    load: Phase
    segments: int
    seconds: float


class Row(NamedTuple):
    """A line of the table."""

    what: str
    measured: str
    bound: str
    holds: bool


def main() -> int:
    """Measure, print, and return 1 where a bound does not hold."""
    parser = argparse.ArgumentParser(prog="python -m bench.outage", description=__doc__)
    parser.add_argument("--minutes", type=int, default=60, help="how long the sink is down (60)")
    parser.add_argument("--rate", type=int, default=200, help="events a second (200)")
    options = parser.parse_args()
    servers.check_cores()
    os.sched_setaffinity(0, {servers.LOAD_CORE})
    with tempfile.TemporaryDirectory() as name:
        rows = uvloop.run(_measure(Path(name), options.minutes, options.rate))
    machine = f"{psutil.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}"
    print(f"\nOne sink down for {options.minutes} min, another healthy; {options.rate} events/s, {_WORKERS} workers")
    print(f"Python {platform.python_version()}, {machine}\n")
    print(f"{'':58} {'measured':>20} {'bound':>12}")
    for row in rows:
        print(f"{row.what:58} {row.measured:>20} {row.bound:>12}  {'holds' if row.holds else 'BROKEN'}")
    return 0 if all(row.holds for row in rows) else 1


async def _measure(folder: Path, minutes: int, rate: int) -> list[Row]:
    outage, back = await _outage(folder, minutes, rate)
    acknowledged = [each for minute in outage for each in minute.load.ids] + back.load.ids
    filed, lags = _files(folder / "both" / "events")
    _, calm_lags = _files(folder / "healthy" / "events")
    return [
        *_intake(outage, back),
        *_lag(calm_lags, lags),
        *_memory(outage),
        *_catch_up(back, rate),
        _exactly_once("healthy", acknowledged, filed),
        _exactly_once("broken", acknowledged, back.ids),
        _segments(outage, back, minutes),
    ]


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


async def _outage(folder: Path, minutes: int, rate: int) -> tuple[list[Minute], Return]:
    healthy, both = _made(folder / "healthy"), _made(folder / "both")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # bound and not listening: whoever connects is refused
        sinks = _HEALTHY + _BROKEN.format(port=silent.getsockname()[1])
        with (
            servers.collector(healthy, _WORKERS, sinks=_HEALTHY, retain_hours=0) as (calm_port, _),
            servers.collector(both, _WORKERS, sinks=sinks, retain_hours=0) as (port, workers),
        ):
            outage = []
            for number in range(minutes + 1):
                seconds = 60 if number else _WARM_UP_SECONDS
                loads = await asyncio.gather(steady(calm_port, seconds, rate), steady(port, seconds, rate))
                outage.append(_minute(both, workers, *loads))
                _tell(number, outage[-1])
            return outage, await _return(both, port, rate, silent)


def _tell(number: int, minute: Minute) -> None:
    for name, load in (("without", minute.calm), ("with", minute.load)):
        for failure in load.failures:
            print(f"{name} the sink that is down, a request failed {failure}", file=sys.stderr)
    print(
        f"minute {number}: {minute.load.failed} of {len(minute.load.latencies)} failed, p99 {minute.load.p99:.2f} ms "
        f"({minute.calm.p99:.2f} without the sink that is down), {minute.mib:.1f} MiB, {minute.segments} segments",
        file=sys.stderr,
        flush=True,
    )


def _minute(folder: Path, workers: list[psutil.Process], calm: Phase, load: Phase) -> Minute:
    mib = sum(worker.memory_info().rss for worker in workers) / (1 << 20)
    settings = load_settings(str(folder / "collector.toml"))
    states = {status.state for status in statuses(settings) if status.sink == "broken"}
    return Minute(calm, load, mib, _count_segments(folder), states)


def _count_segments(folder: Path) -> int:
    return sum(len(LogFolder(Files(), str(shard)).segments()) for shard in (folder / "log").iterdir())


async def _return(folder: Path, port: int, rate: int, silent: socket.socket) -> Return:
    """Bring the sink up, and keep the load on until it has caught up."""
    begun, loads = time.monotonic(), []
    with _receiver(silent) as url:
        while not _has_caught_up(arrivals := json.decode(await _get(f"{url}/arrivals"), type=list[Arrival]), rate):
            loads.append(await steady(port, 2, rate))
            if time.monotonic() - begun > _GIVE_UP_SECONDS:
                sys.exit(f"bench: the sink did not catch up in {_GIVE_UP_SECONDS} s")
        seconds = time.monotonic() - begun
        segments = await _fewest_segments(folder)
        ids = (await _get(f"{url}/ids")).splitlines()
    return Return(arrivals, ids, together(*loads), segments, seconds)


async def _fewest_segments(folder: Path) -> int:
    """How many are left when what is delivered had time to be dropped."""
    for _ in range(_DROP_SECONDS):
        await asyncio.sleep(1)
        if (count := _count_segments(folder)) <= 2 * _WORKERS:
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


def _has_caught_up(arrivals: list[Arrival], rate: int) -> bool:
    """Whether the newest batch of each log is of less than a second of intake, and not the only one."""
    logs = list(_by_log(arrivals).values())
    return len(logs) == _WORKERS and all(len(each) > 1 and each[-1][2] < rate for each in logs)


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


def _intake(outage: list[Minute], back: Return) -> Iterator[Row]:
    calm_failed = sum(minute.calm.failed for minute in outage)
    failed = sum(load.failed for load in (back.load, *(minute.load for minute in outage)))
    yield Row("failed requests without and with it", f"{calm_failed}, {failed}", "0", failed == 0)
    calm, during = ([each.p99 for each in loads] for loads in zip(*(minute[:2] for minute in outage[1:]), strict=True))
    ratio = statistics.median(one / other for one, other in zip(during, calm, strict=True))
    both = f"{statistics.median(calm):.2f}, {statistics.median(during):.2f} ms"
    yield Row("p99 of a minute's requests without and with it: median", both, "", holds=True)
    yield Row("… worst minute", f"{max(calm):.2f}, {max(during):.2f} ms", "", holds=True)
    yield Row("… ratio in a minute, median", f"{ratio:.2f} times", f"{_MOST_RATIO:g} times", ratio <= _MOST_RATIO)
    yield Row("… while it catches up", f"{back.load.p99:.2f} ms", "", holds=True)


def _lag(calm: list[float], during: list[float]) -> Iterator[Row]:
    calm_p99, p99 = (statistics.quantiles(lags, n=100)[98] for lags in (calm, during))
    yield Row("healthy sink, receipt to arrival, without and with: p99", f"{calm_p99:.2f}, {p99:.2f} s", "", holds=True)
    bound = f"{_MOST_LAG_SECONDS:g} s"
    yield Row("… the most", f"{max(calm):.2f}, {max(during):.2f} s", bound, max(during) <= _MOST_LAG_SECONDS)


def _memory(outage: list[Minute]) -> Iterator[Row]:
    first, most, last = outage[1].mib, max(minute.mib for minute in outage[1:]), outage[-1].mib
    measured = f"{first:.1f}, {last:.1f} MiB"
    yield Row(
        "memory of both workers: after a minute, at the end", measured, f"{_MOST_MIB} MiB", most - first < _MOST_MIB
    )


def _catch_up(back: Return, rate: int) -> Iterator[Row]:
    yield Row("broken sink: has all, after it is up", f"{back.seconds:.0f} s", "", holds=True)
    pace = min(_pace(each, rate) for each in _by_log(back.arrivals).values())
    times = pace / (rate / _WORKERS)
    measured = f"{pace:,.0f} events/s"
    yield Row("… catch-up of one log", measured, f"{_LEAST_CATCH_UP} times", times >= _LEAST_CATCH_UP)
    yield Row("… against its intake", f"{times:.0f} times", "", holds=True)


def _pace(arrivals: list[Arrival], rate: int) -> float:
    """Events a second of one log from its first batch to the last one of more than a second of intake."""
    last = max((at for at, arrival in enumerate(arrivals) if arrival[2] >= rate), default=0)
    seconds = arrivals[last][0] - arrivals[0][0]
    return sum(events for _, _, events in arrivals[1 : last + 1]) / seconds if last else 0.0


def _exactly_once(sink: str, acknowledged: list[bytes], found: list[bytes]) -> Row:
    lost, twice = len(set(acknowledged) - set(found)), len(found) - len(set(found))
    measured = f"{lost} lost, {twice} twice"
    what = f"{sink} sink: {len(acknowledged)} acknowledged events"
    return Row(what, measured, "none", sorted(acknowledged) == sorted(found))


def _segments(outage: list[Minute], back: Return, minutes: int) -> Row:
    """Each worker has a segment a minute, which only the bad sink holds."""
    kept, states = outage[-1].segments, outage[-1].states
    holds = kept >= _WORKERS * minutes and back.segments <= 2 * _WORKERS and states == {"down"}
    return Row("segments kept for the broken sink, and afterwards", f"{kept}, {back.segments}", "", holds)


if __name__ == "__main__":
    sys.exit(main())
