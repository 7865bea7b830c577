"""One measured run of a load on a server, alternating runs, and rows: the results of scenarios."""

import statistics
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from msgspec import Struct

from bench import BenchError
from bench.load import closed_loop, wrk
from bench.load.closed_loop import Segments, whole
from bench.load.traffic import Traffic
from bench.servers import LOAD_CORE, Server

CONNECTIONS: Final = 64
_WARM_UP_SECONDS: Final = 1
Number = TypeVar("Number", int, float)


class Options(NamedTuple):
    """How long to measure. `minutes` and `mib`, where they are given, replace the sizes of the scenarios they suit."""

    rounds: int
    """Runs of each load; the median counts."""
    seconds: float
    """Length of a run."""
    is_quick: bool = False
    minutes: float | None = None
    mib: int | None = None

    def size(self, full: Number, quick: Number) -> Number:
        """A size of a scenario: the full one, or one that takes a moment."""
        return quick if self.is_quick else full


class Sample(NamedTuple):
    """CPU microseconds of the server's processes an event, events a second, and latencies of requests in ms."""

    cpu_us: float
    rate: float
    p50: float = 0.0
    p99: float = 0.0
    behind: float = 0.0
    """Seconds from the end of the load until a sink had all of it."""


class Row(Struct):
    """A result. `ratio` is to the reference; `most` and `goal` bound the ratio, or the value where there is none."""

    name: str
    value: float
    unit: str = ""
    reference: str = ""
    ratio: float | None = None
    most: float | None = None
    goal: float | None = None
    beside: str = ""
    """Further figures for the table: mostly throughput."""
    details: dict[str, object] = {}
    """For charts and for later comparison."""
    scenario: str = ""
    """Set by the program."""

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
    """Tell on stderr what is being measured."""
    print(text, file=sys.stderr, flush=True)


def load(
    server: Server,
    traffic: Traffic,
    seconds: float,
    *,
    connections: int = CONNECTIONS,
    core: int | None = LOAD_CORE,
) -> Sample:
    """Run this load once, with wrk, which runs for whole seconds."""
    before = server.cpu_seconds
    done = wrk.run(server.port, traffic, connections, seconds, core=core)
    spent = server.cpu_seconds - before
    events = done.requests * traffic.events
    return Sample(spent / events * 1e6, events / done.seconds, done.p50, done.p99)


def closed_load(
    server: Server, requests: Sequence[bytes], seconds: float, *, statuses: Collection[int], segments: Segments = whole
) -> Sample:
    """Run this load once, with the closed loop. Raises BenchError unless all responses have one of `statuses`."""
    before = server.cpu_seconds
    tally = closed_loop.run(server.port, requests, CONNECTIONS, seconds, segments=segments)
    spent = server.cpu_seconds - before
    if len(tally.answers) != 1 or not tally.answers.keys() <= set(statuses):
        raise BenchError(f"expected one status of {sorted(statuses)}, found {dict(tally.answers)}")
    return Sample(spent / tally.requests * 1e6, tally.requests / tally.seconds)


def in_turn(runs: Mapping[str, Callable[[float], Sample]], options: Options, title: str) -> dict[str, list[Sample]]:
    """Run each for the given seconds, in rounds whose order alternates, after a short run that does not count."""
    if not options.is_quick:
        for run in runs.values():
            run(_WARM_UP_SECONDS)
    samples: dict[str, list[Sample]] = {name: [] for name in runs}
    for number in range(options.rounds):
        progress(f"{title}: round {number + 1} of {options.rounds}")
        for name in list(runs) if number % 2 else reversed(list(runs)):
            samples[name].append(runs[name](options.seconds))
    return samples


def median(samples: list[Sample]) -> Sample:
    """The median of each figure."""
    return Sample(*(statistics.median(values) for values in zip(*samples, strict=True)))


def ratio(ours: list[Sample], theirs: list[Sample]) -> float:
    """The median of the rounds' ratios of CPU, since the two runs of a round follow each other."""
    return statistics.median(our.cpu_us / their.cpu_us for our, their in zip(ours, theirs, strict=True))


def compared(
    name: str,
    ours: list[Sample],
    theirs: list[Sample],
    reference: str,
    *,
    most: float | None = None,
    goal: float | None = None,
    beside: str = "",
    **details: object,
) -> Row:
    """The row of a load that ran in turn with its reference: CPU microseconds an event."""
    mine = median(ours)
    samples = {"ours": ours, "reference": theirs}
    return Row(
        name,
        mine.cpu_us,
        "us",
        f"{reference} {median(theirs).cpu_us:.1f} us",
        ratio(ours, theirs),
        most,
        goal,
        beside or f"{mine.rate:,.0f} events/s",
        {key: [each._asdict() for each in part] for key, part in samples.items()} | details,
    )
