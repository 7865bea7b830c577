"""`python -m bench.kafka`: events that the Kafka sink delivers a second and core, the broker's own work not counted."""

import argparse
import asyncio
import json
import os
import platform
import random
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from bench.kafka.broker import broker
from bench.kafka.jars import why_not
from bench.load.event import EVENT
from collector.ship.batch import Batch, Part
from collector.ship.sinks.kafka import KafkaSink
from collector.sink_config import KafkaSink as Settings

_LOG_ID = "0123456789abcdef"
_LINE_BYTES = 500
_BATCH_EVENTS = 8_000
_CASES: dict[str, dict[str, Any]] = {
    "key au_id, lz4: the defaults": {},
    "key uid and two headers, lz4": {"key": "uid", "headers": {"id": "{id}", "from": "{source}"}},
    "one topic and no key, lz4": {"topic": "events", "key": "none"},
    "key au_id, zstd": {"compression": "zstd"},
    "key au_id, none": {"compression": "none"},
}


class _Sample(NamedTuple):
    """One case: events, CPU seconds of this process with all its threads, and seconds that passed."""

    events: int
    cpu_seconds: float
    seconds: float


def main() -> None:
    """Deliver batches of 4 MB in each way, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.kafka", description=__doc__)
    parser.add_argument("--batches", type=int, default=25, help="of 8000 events of 500 bytes, for each case (25)")
    batches = parser.parse_args().batches
    if reason := why_not():
        sys.exit(f"bench: {reason}")
    print(f"{platform.node()}: {os.cpu_count()} x {_processor()}, {psutil.virtual_memory().total >> 30} GiB")
    print(f"{'':30} {'events/s/core':>14} {'us of CPU/event':>16} {'events/s':>10}")
    with tempfile.TemporaryDirectory() as folder, broker(Path(folder)) as node:
        for name, settings in _CASES.items():
            _print(name, asyncio.run(_measure(node.address, settings, name, batches)))


async def _measure(address: str, settings: dict[str, Any], name: str, batches: int) -> _Sample:
    sink = KafkaSink(Settings(brokers=(address,), **settings), name.translate({ord(each): "-" for each in " ,:"}))
    work = [_batch(number * _BATCH_EVENTS + 1) for number in range(batches + 1)]
    try:
        await sink.open(_LOG_ID, 1)
        await sink.deliver(work[0])  # warm up; makes the topic
        cpu, start = _cpu_seconds(), time.perf_counter()
        for batch in work[1:]:
            await sink.deliver(batch)
        return _Sample(batches * _BATCH_EVENTS, _cpu_seconds() - cpu, time.perf_counter() - start)
    finally:
        await sink.close()


def _batch(first: int) -> Batch:
    last = first + _BATCH_EVENTS - 1
    payload = b"".join([_line(sequence) for sequence in range(first, last + 1)])
    return Batch(_LOG_ID, f"{first}", (Part(1_714_561_200_000, first, last, payload),))


def _line(sequence: int) -> bytes:
    """A record with a visitor, a user and a page of its own."""
    chance = random.Random(sequence)
    extra = {
        "location_url": f"https://shop.example.com/p/{chance.randrange(10**6)}",
        "title": chance.randbytes(16).hex(),
    }
    event = {name: EVENT[name] for name in ("ea", "ec", "aid")} | {
        "sid": sequence,
        "uid": f"u-{sequence}",
        "extra": extra,
    }
    record: dict[str, Any] = {
        "id": f"{_LOG_ID}-{sequence}",
        "received_at": 1_714_561_200_000 + sequence,
        "portal_id": 33167,
        "prop_id": 564990801,
        "source": "web",
        "ip": f"192.0.2.{sequence % 256}",
        "au_id": str(chance.randrange(2**53)),
        "event": event,
    }
    short = _LINE_BYTES - len(json.dumps(record, separators=(",", ":"))) - len(',"referer":""\n')
    record["referer"] = chance.randbytes(short).hex()[:short]
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def _print(name: str, sample: _Sample) -> None:
    rate, cost = sample.events / sample.cpu_seconds, sample.cpu_seconds / sample.events * 1e6
    print(f"{name:30} {rate:14,.0f} {cost:16.2f} {sample.events / sample.seconds:10,.0f}")


if __name__ == "__main__":
    main()
