"""Events that the Kafka sink delivers a second and core; the broker's own work is not counted."""

import asyncio
import json
import random
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from bench.kafka.broker import broker
from bench.load.event import EVENT
from bench.measure import Options, Row
from collector.ship.batch import Batch, Part
from collector.ship.sinks.kafka.settings import KafkaSinkSettings as Settings
from collector.ship.sinks.kafka.sink import KafkaSink

_LOG_ID: Final = "0123456789abcdef"
_LINE_BYTES: Final = 500
_BATCH_EVENTS: Final = 8_000
_CASES: Final[dict[str, dict[str, Any]]] = {
    "key au_id, lz4: the defaults": {},
    "key uid and two headers, lz4": {"key": "uid", "headers": {"id": "{id}", "from": "{source}"}},
    "one topic and no key, lz4": {"topic": "events", "key": "none"},
    "key au_id, zstd": {"compression": "zstd"},
    "key au_id, none": {"compression": "none"},
}


def of_kafka(options: Options) -> Iterator[Row]:
    """CPU of an event in the Kafka sink, in batches of 4 MB, for each way to send it; starts a broker"""
    batches = options.size(25, 1)
    events = batches * _BATCH_EVENTS
    with tempfile.TemporaryDirectory() as folder, broker(Path(folder)) as node:
        for name, settings in _CASES.items():
            cpu, seconds = asyncio.run(_measure(node.address, settings, name, batches))
            beside = f"{events / cpu:,.0f} events/s and core, {events / seconds:,.0f} events/s"
            yield Row(f"Kafka sink, {name}", cpu / events * 1e6, "us", beside=beside)


async def _measure(address: str, settings: dict[str, Any], name: str, batches: int) -> tuple[float, float]:
    """CPU seconds of this process with all its threads, and seconds that passed."""
    sink = KafkaSink(Settings(brokers=(address,), **settings), name.translate({ord(each): "-" for each in " ,:"}))
    work = [_batch(number * _BATCH_EVENTS + 1) for number in range(batches + 1)]
    try:
        await sink.open(_LOG_ID, 1)
        await sink.deliver(work[0])  # to warm up, and to make the topic
        cpu, start = _cpu_seconds(), time.perf_counter()
        for batch in work[1:]:
            await sink.deliver(batch)
        return _cpu_seconds() - cpu, time.perf_counter() - start
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
        "occurred_at": 1_714_561_199_000 + sequence,
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
