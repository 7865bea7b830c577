"""One measured run of a load on a server, runs in turn, and what a scenario comes to."""

import statistics
import sys
from collections.abc import Callable, Mapping
from typing import NamedTuple

from msgspec import Struct

from bench import servers
from bench.load import wrk
from bench.load.traffic import Traffic
from bench.servers import Server

_WARM_UP_SECONDS = 1


class Options(NamedTuple):
    """How long to measure: rounds of which the median counts, seconds of a run, and the sizes of the long scenarios."""

    rounds: int
    seconds: int
    soak_minutes: float
    log_mib: int
    properties: int
    visitors: int
    shapes: int
    """Of an event, at most, among which the worst is searched."""
    bodies: int
    """Hostile ones: at most so many that are known, and so many more of a search."""
    worst: int
    """Of those that a search finds, at most so many are measured."""


class Sample(NamedTuple):
    """CPU microseconds of the server's processes an event, events a second, and latencies of requests in ms."""

    cpu_us: float
    rate: float
    p50: float
    p99: float


class Row(Struct):
    """What a scenario came to. `ratio` is to the reference; `most` and `goal` are the project's bounds on it."""

    part: str
    scenario: str
    value: float
    unit: str
    reference: str = ""
    ratio: float | None = None
    most: float | None = None
    goal: float | None = None
    beside: str = ""
    """What else the table shows: mostly throughput."""
    details: dict[str, object] = {}
    """For charts and for later comparison."""

    @property
    def verdict(self) -> str:
        """Whether the bound holds; empty where there is none."""
        measured = self.value if self.ratio is None else self.ratio
        if self.most is None:
            return ""
        if self.goal is not None and measured <= self.goal:
            return "goal"
        return "holds" if measured <= self.most else "BROKEN"


def progress(text: str) -> None:
    """Say what is being measured."""
    print(text, file=sys.stderr, flush=True)


def load(server: Server, traffic: Traffic, connections: int, seconds: int, *, core: int | None = 1) -> Sample:
    """Run this load once."""
    before = servers.cpu_seconds(*server.workers)
    done = wrk.run(server.port, traffic, connections, seconds, core=core)
    spent = servers.cpu_seconds(*server.workers) - before
    events = done.requests * traffic.events
    return Sample(spent / events * 1e6, events / done.seconds, done.p50, done.p99)


def in_turn(runs: Mapping[str, Callable[[int], Sample]], options: Options, what: str) -> dict[str, list[Sample]]:
    """Run each for the given seconds, in rounds whose order alternates, behind a short run that does not count."""
    for run in runs.values():
        run(_WARM_UP_SECONDS)
    samples: dict[str, list[Sample]] = {name: [] for name in runs}
    for number in range(options.rounds):
        progress(f"{what}: round {number + 1} of {options.rounds}")
        for name in list(runs) if number % 2 else reversed(list(runs)):
            samples[name].append(runs[name](options.seconds))
    return samples


def median(samples: list[Sample]) -> Sample:
    """The median of each figure."""
    return Sample(*(statistics.median(values) for values in zip(*samples, strict=True)))


def ratio(ours: list[Sample], theirs: list[Sample]) -> float:
    """The median of the rounds' ratios of CPU, since the two runs of a round follow each other."""
    return statistics.median(our.cpu_us / their.cpu_us for our, their in zip(ours, theirs, strict=True))
