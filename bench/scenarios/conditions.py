"""Single POSTs under conditions that should not matter: connections, workers, disks, sinks, much of anything."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

import psutil

from bench import servers
from bench.load import traffic
from bench.load.long_log import build
from bench.measure import Options, Row, Sample, compared, in_turn, load, median
from bench.processes import free_port

_CONNECTIONS: Final = (1, 8, 64, 512)
_DISK_MS: Final = (1, 5, 10)
_DEAD_SINK: Final = '[[sink]]\ntype = "http"\nname = "down"\nurl = "http://127.0.0.1:{port}/"\n'
_SINGLES: Final = traffic.singles()


def of_connections(options: Options) -> Iterator[Row]:
    """Throughput and latency by the number of connections, against the bare echo"""
    with servers.echo() as echo, servers.collector() as ours:
        for connections in _CONNECTIONS:
            name = f"{connections} connections"
            runs = {
                key: partial(load, server, _SINGLES, connections=connections)
                for key, server in {"echo": echo, "ours": ours}.items()
            }
            samples = in_turn(runs, options, name)
            yield compared(name, samples["ours"], samples["echo"], "bare uvicorn echo", connections=connections)


def of_workers(options: Options) -> Iterator[Row]:
    """Two workers on all cores, which wrk shares, against one"""
    cores = tuple(range(psutil.cpu_count() or 1))
    samples: list[list[Sample]] = []
    for workers in (1, 2):
        with servers.collector(workers=workers, cores=cores) as server:
            run = partial(load, server, _SINGLES, core=None)
            samples.append(in_turn({"": run}, options, f"{workers} workers")[""])
    one, two = (median(each).rate for each in samples)
    beside = f"{two:,.0f} against {one:,.0f} events/s"
    yield compared(
        "2 workers, any core", samples[1], samples[0], "1 worker, any core", beside=beside, speedup=two / one
    )


def of_disks(options: Options) -> Iterator[Row]:
    """A disk whose fdatasync takes longer: every request waits for it, and none pays CPU for it"""
    reference = "the disk as it is"
    with ExitStack() as stack:
        runs = {reference: stack.enter_context(servers.collector())}
        for milliseconds in _DISK_MS:
            inject = f"inject=fdatasync:delay_exit={milliseconds * 1000}"
            tracer = ("strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", inject)
            runs[f"fdatasync {milliseconds} ms longer"] = stack.enter_context(servers.collector(under=tracer))
        samples = in_turn({name: partial(load, each, _SINGLES) for name, each in runs.items()}, options, "slow disks")
    for row in _against(reference, samples):
        row.beside += f", median {median(samples[row.name]).p50:.1f} ms"
        yield row


def of_sink(options: Options) -> Iterator[Row]:
    """A sink that is down beside the file sink, against the file sink alone"""
    both = servers.FILE_SINK + _DEAD_SINK.format(port=free_port())
    with servers.collector() as alone, servers.collector(sinks=both) as two:
        runs = {"without it": partial(load, alone, _SINGLES), "a sink that is down": partial(load, two, _SINGLES)}
        yield from _against("without it", in_turn(runs, options, "a sink that is down"))


def of_properties(options: Options) -> Iterator[Row]:
    """As many properties as there may be, against one"""
    with ExitStack() as stack:
        runs = {}
        for count in (1, 1_000, options.size(100_000, 2_000)):
            kind = traffic.of_properties(count)
            server = stack.enter_context(servers.collector(properties=range(1, count + 1)))
            runs[kind.name] = partial(load, server, kind)
        yield from _against("1 properties", in_turn(runs, options, "properties"))


def of_visitors(options: Options) -> Iterator[Row]:
    """As many different visitors as there may be, against a thousand"""
    few, many = (traffic.of_visitors(count) for count in (1_000, options.size(1_000_000, 10_000)))
    with servers.collector() as server:
        runs = {kind.name: partial(load, server, kind) for kind in (few, many)}
        yield from _against(few.name, in_turn(runs, options, "visitors"))


def of_log(options: Options) -> Iterator[Row]:
    """A log that is long already, against an empty one"""
    empty_log = "0 MiB of log"
    mib = options.mib or options.size(10 << 10, 64)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        build(str(Path(folder) / "log" / "00"), mib)
        # without a sink, which would ship all of the long log
        with servers.collector(sinks="") as empty, servers.collector(Path(folder), sinks="") as long:
            runs = {empty_log: partial(load, empty, _SINGLES)}
            runs[f"{mib:,} MiB of log"] = partial(load, long, _SINGLES)
            yield from _against(empty_log, in_turn(runs, options, "a long log"))


def _against(reference: str, samples: dict[str, list[Sample]]) -> Iterator[Row]:
    """A row for each load but the reference."""
    for name, ours in samples.items():
        if name != reference:
            yield compared(name, ours, samples[reference], reference)
