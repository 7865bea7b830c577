"""Batches for the tests of sinks, whose lines are records as the collector writes them, and a sink driven by hand."""

import asyncio
from collections.abc import Sequence
from typing import Final

from collector.ship.batch import Batch, Part
from collector.ship.sinks import Sink

LOG_ID: Final = "0123456789abcdef"
ELEVEN_MS: Final = 1_714_561_200_000
"""2024-05-01 11:00:00 UTC."""


def record(sequence: int, source: str = "web", event: bytes | None = None, ids: bytes = b"") -> bytes:
    """A record with its LF. `ids` are the members `event_id` and `dialect`, in this order, with a comma after each."""
    event_id, has_dialect, dialect = ids.partition(b'"dialect"')
    if event is None:
        event = b'{"ea":"view","ec":"product","sid":%d,"uid":"u-%d","t":"\xc4\x91\\n"}' % (sequence, sequence)
    return (
        b'{"id":"%b-%d","received_at":%d,"portal_id":33167,"prop_id":2,"source":"%b",%b"ip":"192.0.2.7",'
        b'"user_agent":"Mozilla/5.0 (X11; Linux x86_64)","referer":null,"s2s":false,"occurred_at":%d,%b'
        b'"au_id":"9007199254740991",'
        b'"client_id":"12.1714561200","session":{"id":"5","start":1714561200,"hits":%d,"new":true},"warnings":[],'
        b'"event":%b}\n'
    ) % (
        LOG_ID.encode(),
        sequence,
        ELEVEN_MS + sequence,
        source.encode(),
        has_dialect + dialect,
        ELEVEN_MS + sequence - 90_000,
        event_id,
        sequence,
        event,
    )


def part(timestamp_ms: int, first: int, last: int | None = None, sources: Sequence[str] = ("web",)) -> Part:
    """A block of events whose sources take turns."""
    numbers = range(first, (first if last is None else last) + 1)
    payload = b"".join([record(number, sources[number % len(sources)]) for number in numbers])
    return Part(timestamp_ms, first, numbers[-1], payload)


def batch(*parts: Part, replay: str = "") -> Batch:
    """A batch of blocks."""
    return Batch(LOG_ID, f"{LOG_ID}:1:{parts[0].first}-1:{parts[-1].last}:00000000", parts, replay)


def deliver(sink: Sink, *batches: Batch, sequence: int = 1) -> int:
    """Open a sink, deliver, and close it; returns where it wanted to go on."""

    async def run() -> int:
        try:
            expected = (await sink.open(LOG_ID, sequence)).next
            for batch in batches:
                await sink.deliver(batch)
        finally:
            await sink.close()
        return expected

    return asyncio.run(run())
