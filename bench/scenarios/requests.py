"""CPU of requests of every kind against its reference; more connections, workers, slow disks, a sink that is down."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import psutil
from msgspec.json import Decoder

from bench import servers
from bench.load import traffic
from bench.load.event import encoded, others
from bench.measure import Options, Row, Sample, in_turn, load, median, ratio
from bench.processes import free_port
from bench.servers import Server
from collector.ingest.decode import Event

_CONNECTIONS: Final = 64
_FILE_CONNECTIONS: Final = 8
_BOUNDS: Final = {"single POST, 0.5 KB": (2.0, 1.6), "pixel GET": (2.0, 1.6)}
_BATCH_BOUNDS: Final = (4.0, 2.5)
_CALIBRATION_SECONDS: Final = 0.3
_DEAD_SINK: Final = '[[sink]]\ntype = "http"\nname = "down"\nurl = "http://127.0.0.1:{port}/"\n'


@contextmanager
def fresh(**options: object) -> Iterator[Server]:
    """A collector with an empty log."""
    with tempfile.TemporaryDirectory() as folder, servers.collector(Path(folder), **options) as server:  # type: ignore[arg-type]
        yield server


def of_kinds(options: Options) -> Iterator[Row]:
    """Each kind against the echo of the same request; many events at a time against the decoder alone, too."""
    with ExitStack() as stack:
        echo = stack.enter_context(servers.echo())
        starlette = stack.enter_context(servers.echo("starlette"))
        ours = stack.enter_context(fresh())
        for kind in (traffic.singles(), traffic.large_singles(), traffic.pixels()):
            runs = {
                name: partial(load, server, kind, _CONNECTIONS)
                for name, server in {"echo": echo, "starlette": starlette, "collector": ours}.items()
            }
            samples = in_turn(runs, options, kind.name)
            for name, reference in (("echo", "bare uvicorn echo"), ("starlette", "bare Starlette route")):
                most, goal = _BOUNDS.get(kind.name, (None, None)) if name == "echo" else (None, None)
                yield _row(kind.name, samples["collector"], samples[name], reference, most=most, goal=goal)
        for kind in (traffic.batches(), traffic.files(), traffic.mixed()):
            # more would be 64 MiB that wait for the disk, which is where the collector sheds
            connections = _FILE_CONNECTIONS if kind.name.startswith("NDJSON") else _CONNECTIONS
            ways: dict[str, Callable[[int], Sample]] = {
                "collector": partial(load, ours, kind, connections),
                "decode": _decode,
                "echo": partial(load, echo, kind, connections),
            }
            samples = in_turn(ways, options, kind.name)
            most, goal = _BATCH_BOUNDS if kind.name.startswith("batch") else (None, None)
            yield _row(kind.name, samples["collector"], samples["decode"], "msgspec decode", most=most, goal=goal)
            yield _row(kind.name, samples["collector"], samples["echo"], "bare uvicorn echo")


def of_connections(options: Options) -> Iterator[Row]:
    """Throughput and latency against concurrency, beside the echo's."""
    kind = traffic.singles()
    with servers.echo() as echo, fresh() as ours:
        for connections in (1, 8, 64, 512):
            runs = {
                name: partial(load, server, kind, connections)
                for name, server in {"echo": echo, "collector": ours}.items()
            }
            samples = in_turn(runs, options, f"{connections} connections")
            row = _row(f"{connections} connections", samples["collector"], samples["echo"], "bare uvicorn echo")
            row.part, row.details["connections"] = "connections", connections
            yield row


def of_workers(options: Options) -> Iterator[Row]:
    """Two workers on all cores, which wrk has its share of, against one: events a CPU second of the workers."""
    kind, cores = traffic.singles(), range(psutil.cpu_count() or 1)
    samples: dict[str, list[Sample]] = {}
    for workers in (1, 2):
        with fresh(workers=workers, cores=tuple(cores)) as server:
            run = partial(load, server, kind, _CONNECTIONS, core=None)
            samples[f"{workers}"] = in_turn({"": run}, options, f"{workers} workers")[""]
    one, two = median(samples["1"]), median(samples["2"])
    row = _row("2 workers, any core", samples["2"], samples["1"], "1 worker, any core")
    row.part = "workers"
    row.details["speedup"] = two.rate / one.rate
    row.beside = f"{two.rate:,.0f} against {one.rate:,.0f} events/s"
    yield row


def of_disks(options: Options) -> Iterator[Row]:
    """A disk whose fdatasync takes longer: each waits for it, and nobody pays for it."""
    kind = traffic.singles()
    with ExitStack() as stack:
        runs = {"as it is": stack.enter_context(fresh())}
        for milliseconds in (1, 5, 10):
            inject = f"inject=fdatasync:delay_exit={milliseconds * 1000}"
            tracer = ("strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", inject)
            runs[f"fdatasync {milliseconds} ms longer"] = stack.enter_context(fresh(under=tracer))
        loads = {name: partial(load, server, kind, _CONNECTIONS) for name, server in runs.items()}
        samples = in_turn(loads, options, "slow disks")
    for name in list(runs)[1:]:
        row = _row(name, samples[name], samples["as it is"], "the disk as it is")
        row.part, row.beside = "disks", f"{row.beside}, median {median(samples[name]).p50:.1f} ms"
        yield row


def of_a_dead_sink(options: Options) -> Iterator[Row]:
    """The file sink beside one that is down, against the file sink alone."""
    kind = traffic.singles()
    with fresh() as alone, fresh(sinks=servers.FILE_SINK + _DEAD_SINK.format(port=free_port())) as both:
        runs = {"alone": partial(load, alone, kind, _CONNECTIONS), "both": partial(load, both, kind, _CONNECTIONS)}
        samples = in_turn(runs, options, "a sink that is down")
    row = _row("a sink that is down", samples["both"], samples["alone"], "without it")
    row.part = "sink"
    yield row


def of_properties(options: Options) -> Iterator[Row]:
    """As many properties as there may be, against one."""
    counts = (1, 1_000, options.properties)
    with ExitStack() as stack:
        runs = {}
        for count in counts:
            kind = traffic.of_properties(count)
            server = stack.enter_context(fresh(properties=range(1, count + 1)))
            runs[kind.name] = partial(load, server, kind, _CONNECTIONS)
        yield from _flat("properties", in_turn(runs, options, "properties"))


def of_visitors(options: Options) -> Iterator[Row]:
    """As many different visitors as there may be, against a thousand."""
    with fresh() as server:
        kinds = [traffic.of_visitors(count) for count in (1_000, options.visitors)]
        runs = {kind.name: partial(load, server, kind, _CONNECTIONS) for kind in kinds}
        yield from _flat("visitors", in_turn(runs, options, "visitors"))


def of_log_sizes(options: Options, grown: Path) -> Iterator[Row]:
    """A log that is long already, which lies in `grown`, against an empty one."""
    kind = traffic.singles()
    with fresh(sinks="") as empty, servers.collector(grown, sinks="") as long:  # or all of it would be shipped
        runs = {"0 MiB of log": partial(load, empty, kind, _CONNECTIONS)}
        runs[f"{options.log_mib:,} MiB of log"] = partial(load, long, kind, _CONNECTIONS)
        yield from _flat("log", in_turn(runs, options, "a long log"))


def _flat(part: str, samples: dict[str, list[Sample]]) -> Iterator[Row]:
    first, *others_ = samples
    for name in others_:
        row = _row(name, samples[name], samples[first], first)
        row.part = part
        yield row


def _row(
    scenario: str,
    ours: list[Sample],
    theirs: list[Sample],
    reference: str,
    *,
    most: float | None = None,
    goal: float | None = None,
) -> Row:
    mine, other = median(ours), median(theirs)
    details: dict[str, object] = {
        "ours": [each._asdict() for each in ours],
        "reference": [each._asdict() for each in theirs],
    }
    return Row(
        "requests",
        scenario,
        mine.cpu_us,
        "us",
        f"{reference} {other.cpu_us:.1f} us",
        ratio(ours, theirs),
        most,
        goal,
        f"{mine.rate:,.0f} events/s",
        details,
    )


def _decode(seconds: float) -> Sample:
    """The typed decode of the events of the load alone, on the servers' core."""
    events, decode = [encoded(event) for event in others(1_000)], Decoder(Event).decode
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {servers.SERVER_CORE})
    try:
        count, begun = 0, time.thread_time()
        while (spent := time.thread_time() - begun) < min(seconds, _CALIBRATION_SECONDS):
            for event in events:
                decode(event)
            count += len(events)
    finally:
        os.sched_setaffinity(0, before)
    return Sample(spent / count * 1e6, count / spent, 0, 0)
