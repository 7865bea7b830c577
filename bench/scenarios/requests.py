"""CPU of requests of every kind, against the echo of the same requests and against the decoder alone."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Final

from msgspec.json import Decoder

from bench import servers
from bench.load import traffic
from bench.load.event import encoded, others
from bench.load.traffic import Traffic
from bench.measure import CONNECTIONS, Options, Row, Sample, compared, in_turn, load, median
from bench.servers import Server
from collector.ingest.event import Event

_FILE_CONNECTIONS: Final = 8
"""More would be 64 MiB that wait for the disk, at which the collector sheds load."""
_BOUNDS: Final = {"single POST, 0.5 KB": (1.6, 1.4), "pixel GET": (1.7, 1.5)}
_MOST_BATCH_US: Final = 6.0
_GOAL_BATCH_US: Final = 4.0
_CALIBRATION_SECONDS: Final = 0.3


def of_requests(options: Options) -> Iterator[Row]:
    """CPU of single events, pixels, batches, files and a mixture, against the bare echo and the decoder"""
    with ExitStack() as stack:
        echo = stack.enter_context(servers.echo())
        starlette = stack.enter_context(servers.echo("starlette"))
        ours = stack.enter_context(servers.collector())
        for kind in (traffic.singles(), traffic.large_singles(), traffic.pixels()):
            yield from _of_single(kind, options, ours, echo, starlette)
        for kind in (traffic.batches(), traffic.files(), traffic.mixed()):
            yield from _of_many(kind, options, ours, echo)


def _of_single(kind: Traffic, options: Options, ours: Server, echo: Server, starlette: Server) -> Iterator[Row]:
    targets = {"echo": echo, "starlette": starlette, "collector": ours}
    samples = in_turn({name: partial(load, each, kind) for name, each in targets.items()}, options, kind.name)
    most, goal = _BOUNDS.get(kind.name, (None, None))
    yield compared(kind.name, samples["collector"], samples["echo"], "bare uvicorn echo", most=most, goal=goal)
    yield compared(kind.name, samples["collector"], samples["starlette"], "bare Starlette route")


def _of_many(kind: Traffic, options: Options, ours: Server, echo: Server) -> Iterator[Row]:
    connections = _FILE_CONNECTIONS if kind.name.startswith("NDJSON") else CONNECTIONS
    runs: dict[str, Callable[[float], Sample]] = {
        "collector": partial(load, ours, kind, connections=connections),
        "decode": _decode,
        "echo": partial(load, echo, kind, connections=connections),
    }
    samples = in_turn(runs, options, kind.name)
    yield compared(kind.name, samples["collector"], samples["decode"], "msgspec decode")
    yield compared(kind.name, samples["collector"], samples["echo"], "bare uvicorn echo")
    if kind.name.startswith("batch"):
        cpu_us = median(samples["collector"]).cpu_us
        yield Row(f"{kind.name}: an event", cpu_us, "us", most=_MOST_BATCH_US, goal=_GOAL_BATCH_US)


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
    return Sample(spent / count * 1e6, count / spent)
