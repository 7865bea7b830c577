"""What the tests of a dialect's endpoint share: it serves properties in process, on real logs in a folder."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from collector.acknowledgements import Acknowledgements
from collector.ingest.dialects.cloudevents.dialect import CloudEvents
from collector.ingest.dialects.dialect import Dialect
from collector.ingest.dialects.matomo.dialect import Matomo
from collector.ingest.dialects.posthog.dialect import PostHog
from collector.ingest.dialects.segment.dialect import SegmentDialect
from collector.ingest.dialects.snowplow.dialect import Snowplow
from collector.settings import Limits, PropertySettings
from tests.collector.live_dialect import Send, dialect_endpoint, sender
from tests.collector.live_intake import Logs, live_intake

SEGMENT, SNOWPLOW, MATOMO, POSTHOG, CLOUD = SegmentDialect(), Snowplow(), Matomo(), PostHog(), CloudEvents()
TP2 = "/com.snowplowanalytics.snowplow/tp2"
TRACK = {"type": "track", "event": "E"}
SHOP = "https://shop.example.com"
Use = Callable[[Logs, Send], Awaitable[None]]


def serve(
    folder: Path,
    dialect: Dialect,
    use: Use,
    *properties: PropertySettings,
    limits: Limits | None = None,
    confirmations: dict[str, Acknowledgements] | None = None,
) -> None:
    """Use the endpoint of a dialect."""

    async def run() -> None:
        async with live_intake(folder, limits, confirmations=confirmations) as logs:
            await use(logs, sender(dialect_endpoint(logs, dialect, *properties, limits=limits)))

    asyncio.run(run())


def batch(*calls: object, **members: object) -> bytes:
    """A batch of Segment."""
    return json.dumps({"batch": calls, **members}).encode()


def payloads(*events: object) -> bytes:
    """A POST of Snowplow."""
    return json.dumps({"schema": "s", "data": events}).encode()


def counted(logs: Logs, fate: str, prop_id: int) -> int:
    """Events of portal 1 that had this fate, whatever the code."""
    name = f"tracklog_events_{fate}_total"
    return sum(value for key, value in logs.counters.read().items() if key[:3] == (name, "1", str(prop_id)))


def check_accounts(logs: Logs, prop_id: int, received: int) -> None:
    """Check that a property's account adds up to the events received."""
    fates = ("stored", "duplicate", "rejected", "shed")
    assert counted(logs, "received", prop_id) == received == sum(counted(logs, fate, prop_id) for fate in fates)


def events_of(logs: Logs) -> list[Any]:
    """Property and action of every record."""
    return [(record["prop_id"], record["event"]["ea"]) for record in logs.stored]
