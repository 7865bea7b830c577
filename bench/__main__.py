"""`python -m bench`: what a request costs the collector in CPU, against the bare HTTP server, in one run."""

import argparse
import json
import platform
import statistics
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import psutil

from bench import servers, wrk
from bench.event import BODY

REPORT = Path(__file__).parent / "report"


class Sample(NamedTuple):
    """One measured run: CPU microseconds of the server process a request, and requests a second."""

    cpu_us: float
    rate: float


def main() -> None:
    """Alternate between echo and collector, print the medians and their ratio, and write them as JSON."""
    options = _options()
    servers.check_cores()
    wrk.check_installed()
    samples: dict[str, list[Sample]] = {"bare uvicorn echo": [], "collector, single POST": []}
    with tempfile.TemporaryDirectory() as folder, servers.echo() as echo, servers.collector(Path(folder)) as collector:
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
            for name, server in zip(samples, (echo, collector), strict=True):
                samples[name].append(_measure(server[0], server[1][0], options.connections, options.seconds))
    _report(samples, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="runs of each, of which the median counts (5)")
    parser.add_argument("--seconds", type=int, default=5, help="length of a run (5)")
    parser.add_argument("--connections", type=int, default=64, help="connections of the load (64)")
    return parser.parse_args()


def _measure(port: int, process: psutil.Process, connections: int, seconds: int) -> Sample:
    wrk.run(port, connections, 1)  # warm up
    before = servers.cpu_seconds(process)
    load = wrk.run(port, connections, seconds)
    spent = servers.cpu_seconds(process) - before
    if load.errors:
        sys.exit(f"bench: {load.errors} of {load.requests} requests failed")
    return Sample(spent / load.requests * 1e6, load.requests / load.seconds)


def _report(samples: dict[str, list[Sample]], options: argparse.Namespace) -> None:
    medians = {
        name: Sample(*(statistics.median(values) for values in zip(*each, strict=True)))
        for name, each in samples.items()
    }
    echo, collector = medians.values()
    machine = f"{psutil.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}"
    print(f"One worker on one core, {options.connections} connections, {len(BODY)} bytes an event, fsync and file sink")
    print(f"Python {platform.python_version()}, {machine}; medians of {options.rounds} runs of {options.seconds} s\n")
    print(f"{'':24} {'CPU a request':>14} {'requests/s':>12} {'ratio':>7}")
    for name, sample in medians.items():
        ratio = sample.cpu_us / echo.cpu_us
        print(f"{name:24} {sample.cpu_us:>11.1f} us {sample.rate:>12,.0f} {ratio:>7.2f}")
    REPORT.mkdir(exist_ok=True)
    result = {"machine": machine, "ratio": collector.cpu_us / echo.cpu_us, "samples": samples}
    (REPORT / "single-post.json").write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
