"""`python -m bench.shipping`: CPU of an event with the demo's file sink, against no sink at all."""

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from bench import servers, wrk
from bench.event import encoded, others
from bench.traffic import EVENTS_A_BATCH, Traffic, posts
from wal.files import Files
from wal.folder import LogFolder
from wal.reader import Reader, read_all

_SINK: Final = "file"
_MOST_RATIO: Final = 1.15
_EVENTS: Final = others(20_000)
_LOADS: Final = {
    "single POST": posts([encoded(event) for event in _EVENTS], "single POST"),
    f"batch of {EVENTS_A_BATCH}": posts(
        [encoded(_EVENTS[first : first + EVENTS_A_BATCH]) for first in range(0, len(_EVENTS), EVENTS_A_BATCH)],
        "batch",
        EVENTS_A_BATCH,
    ),
}


class Server(NamedTuple):
    """A collector under test, and whether it ships."""

    port: int
    worker: psutil.Process
    log: str
    ships: bool


class Sample(NamedTuple):
    """One measured run: CPU microseconds an event, events a second, and seconds until the last one was shipped."""

    cpu_us: float
    rate: float
    behind: float


class Pair(NamedTuple):
    """A round: the same load without a sink and with one."""

    without: Sample
    shipping: Sample


def main() -> int:
    """Alternate between both, print the medians, and return 1 where the bound does not hold for each load."""
    options = _options()
    servers.check_cores()
    os.sched_setaffinity(0, {servers.LOAD_CORE})
    wrk.check_installed()
    with (
        tempfile.TemporaryDirectory() as folder,
        _collector(Path(folder) / "without", "") as without,
        _collector(Path(folder) / "shipping", servers.FILE_SINK) as shipping,
    ):
        pairs = {name: _pairs(name, without, shipping, options) for name in _LOADS}
    return _report(pairs, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.shipping", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="runs of each, of which the median counts (5)")
    parser.add_argument("--seconds", type=int, default=10, help="length of a run (10)")
    parser.add_argument("--connections", type=int, default=64, help="connections of the load (64)")
    return parser.parse_args()


@contextmanager
def _collector(folder: Path, sinks: str) -> Iterator[Server]:
    folder.mkdir()
    with servers.collector(folder, sinks=sinks) as (port, (worker,)):
        yield Server(port, worker, str(folder / "log" / "00"), bool(sinks))


def _pairs(load: str, without: Server, shipping: Server, options: argparse.Namespace) -> list[Pair]:
    for server in (without, shipping):
        _measure(server, _LOADS[load], options.connections, 2)  # warm up
    pairs = []
    for number in range(options.rounds):
        print(f"{load}: round {number + 1} of {options.rounds}", file=sys.stderr)
        order = (without, shipping) if number % 2 else (shipping, without)
        samples = {
            server.ships: _measure(server, _LOADS[load], options.connections, options.seconds) for server in order
        }
        pairs.append(Pair(samples[False], samples[True]))
    return pairs


def _measure(server: Server, traffic: Traffic, connections: int, seconds: int) -> Sample:
    """CPU counts until all is shipped, so that no work is put off to after the run."""
    first, before = _end(server.log), servers.cpu_seconds(server.worker)
    load = wrk.run(server.port, traffic, connections, seconds)
    end, ended = _end(server.log), time.monotonic()
    while server.ships and _shipped(server.log) < end:
        time.sleep(0.05)
    behind = time.monotonic() - ended
    spent = servers.cpu_seconds(server.worker) - before
    return Sample(spent / (end - first) * 1e6, (end - first) / load.seconds, behind)


def _end(log: str) -> int:
    """The sequence behind the last event of a log."""
    files = Files()
    reader = Reader(LogFolder(files, log), LogFolder(files, log).segments()[-1].start)
    for _ in read_all(reader):
        pass
    reader.close()
    return reader.position.sequence


def _shipped(log: str) -> int:
    """The sequence behind the last event that the sink has."""
    files = Files()
    cursor = LogFolder(files, log).cursor(_SINK)
    return cursor.acked.sequence if cursor else 0


def _report(pairs: dict[str, list[Pair]], options: argparse.Namespace) -> int:
    machine = f"{psutil.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}"
    length = len(encoded(_EVENTS)) // len(_EVENTS)
    print(f"One worker on one core, {options.connections} connections, {length} bytes an event, fsync")
    print(f"Python {platform.python_version()}, {machine}; medians of {options.rounds} runs of {options.seconds} s")
    print("CPU of an event until it is shipped, all threads of the worker\n")
    print(
        f"{'':16} {'no sink':>10} {'file sink':>10} {'ratio':>7} {'of a round':>12} {'events/s':>17} {'all there':>10}"
    )
    for name, rounds in pairs.items():
        without, shipping = (
            Sample(*(statistics.median(values) for values in zip(*each, strict=True)))
            for each in zip(*rounds, strict=True)
        )
        ratios = [_cpu_ratio(pair) for pair in rounds]
        spread = f"{min(ratios):.2f}-{max(ratios):.2f}"
        rates = f"{without.rate:,.0f}, {shipping.rate:,.0f}"
        print(
            f"{name:16} {without.cpu_us:>7.1f} us {shipping.cpu_us:>7.1f} us {_ratio(rounds):>7.3f} {spread:>12}",
            end="",
        )
        print(f" {rates:>17} {shipping.behind:>8.1f} s")
    holds = all(_ratio(rounds) <= _MOST_RATIO for rounds in pairs.values())
    print(f"\nbound ({_MOST_RATIO:g} times): {'holds' if holds else 'broken'}")
    return 0 if holds else 1


def _ratio(rounds: list[Pair]) -> float:
    """The median of the ratios of each round, whose two runs follow each other."""
    return statistics.median(map(_cpu_ratio, rounds))


def _cpu_ratio(pair: Pair) -> float:
    return pair.shipping.cpu_us / pair.without.cpu_us


if __name__ == "__main__":
    sys.exit(main())
