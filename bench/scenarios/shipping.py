"""CPU of an event with the demo's file sink, against no sink at all.

CPU counts until all is shipped, so that no work is put off to after the run.
"""

import time
from collections.abc import Iterator
from functools import partial
from typing import Final

from bench import servers
from bench.load import traffic
from bench.load.event import encoded, others
from bench.load.traffic import EVENTS_A_BATCH, Traffic
from bench.load.wrk import run
from bench.measure import CONNECTIONS, Options, Row, Sample, compared, in_turn, median
from bench.servers import Server
from wal.files import Files
from wal.folder import LogFolder
from wal.reader import Reader, read_all

_SINK: Final = "file"
_MOST: Final = 1.15
_EVENTS: Final = 20_000


def of_shipping(options: Options) -> Iterator[Row]:
    """CPU of an event with the file sink, until it is shipped, against no sink"""
    with servers.collector(sinks="") as without, servers.collector() as shipping:
        for kind in _loads():
            runs = {
                "without": partial(_load, without, kind, ships=False),
                "shipping": partial(_load, shipping, kind, ships=True),
            }
            samples = in_turn(runs, options, kind.name)
            rates = ", ".join(f"{median(samples[name]).rate:,.0f}" for name in runs)
            beside = f"{rates} events/s, all shipped {median(samples['shipping']).behind:.1f} s later"
            name = f"{kind.name}, file sink"
            yield compared(name, samples["shipping"], samples["without"], "no sink", most=_MOST, beside=beside)


def _loads() -> Iterator[Traffic]:
    events = others(_EVENTS)
    yield traffic.posts([encoded(event) for event in events], "single POST")
    batches = [encoded(events[first : first + EVENTS_A_BATCH]) for first in range(0, _EVENTS, EVENTS_A_BATCH)]
    yield traffic.posts(batches, f"batch of {EVENTS_A_BATCH}", EVENTS_A_BATCH)


def _load(server: Server, kind: Traffic, seconds: int, *, ships: bool) -> Sample:
    log = str(server.folder / "log" / "00")
    first, before = _end(log), server.cpu_seconds
    load = run(server.port, kind, CONNECTIONS, seconds)
    end, ended = _end(log), time.monotonic()
    while ships and _shipped(log) < end:
        time.sleep(0.05)
    behind = time.monotonic() - ended
    spent = server.cpu_seconds - before
    return Sample(spent / (end - first) * 1e6, (end - first) / load.seconds, load.p50, load.p99, behind)


def _end(log: str) -> int:
    """The sequence after the last event of a log."""
    files = Files()
    reader = Reader(LogFolder(files, log), LogFolder(files, log).segments()[-1].start)
    for _ in read_all(reader):
        pass
    reader.close()
    return reader.position.sequence


def _shipped(log: str) -> int:
    """The sequence after the last event that the sink has."""
    files = Files()
    cursor = LogFolder(files, log).cursor(_SINK)
    return cursor.acked.sequence if cursor else 0
