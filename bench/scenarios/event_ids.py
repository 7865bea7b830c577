"""What it costs to store an event once that may be sent again, and to take events from an SDK that exists."""

import secrets
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from bench import servers
from bench.load.event import TARGET, encoded, others
from bench.load.traffic import COUNTED, EVENTS_A_BATCH, Traffic, post
from bench.measure import Options, Row, Sample, compared, in_turn, load
from bench.servers import PROP_ID, Server

_DEDUP_PROP_ID: Final = 2
_SDK_PROP_ID: Final = 3
_SECTIONS: Final = f"""
[dedup]
bytes = 1_073_741_824
entries = 6_000_000
[[property]]
portal_id = 33167
prop_id = {_DEDUP_PROP_ID}
dedup = "1h"
[[property]]
portal_id = 33167
prop_id = {_SDK_PROP_ID}
id = "sdk"
dedup = "off"
"""
_IDS: Final = 9_999_999
"""Different ids before one comes again: more than are sent."""
_MOST_DEDUP: Final = 1.25
_MOST_SEGMENT: Final = 2.0


def of_event_ids(options: Options) -> Iterator[Row]:
    """Events that are stored once, and a batch from Segment's SDK, against the same without"""
    with servers.collector(sections=_SECTIONS) as ours:
        for name, most, measured, reference in (
            ("single POST with an id, dedup", _MOST_DEDUP, partial(single, _DEDUP_PROP_ID), partial(single, PROP_ID)),
            ("batch of 100 with ids, dedup", None, partial(batch, _DEDUP_PROP_ID), partial(batch, PROP_ID)),
            ("Segment's batch of 100", _MOST_SEGMENT, segment_batch, same_batch),
            ("Segment's batch of 100", None, segment_batch, plain_batch),
        ):
            runs = {
                each: partial(_load, ours, make) for each, make in (("measured", measured), ("reference", reference))
            }
            samples = in_turn(runs, options, name)
            yield compared(name, samples["measured"], samples["reference"], reference().name, most=most)


def _load(server: Server, make: Callable[[], Traffic], seconds: float) -> Sample:
    """One load, with ids that no other load has."""
    return load(server, make(), seconds)


def _new_ids() -> str:
    """An id with digits that count, and a beginning of its own."""
    return f"{secrets.token_hex(8)}-{COUNTED.decode()}"


def single(prop_id: int) -> Traffic:
    """Single events, each with an id of its own."""
    event = others(1)[0] | {"uid": "visitor", "event_id": _new_ids()}
    return Traffic("without dedup", (post(encoded(event), target=_target(prop_id)),), 1, _IDS)


def batch(prop_id: int) -> Traffic:
    """Batches of 100 events, each with an id of its own."""
    request = post(encoded(others(EVENTS_A_BATCH)), target=_target(prop_id), headers={"idempotency-key": _new_ids()})
    return Traffic("without dedup", (request,), EVENTS_A_BATCH, _IDS)


def same_batch() -> Traffic:
    """Batches of 100 events with the id and the times that Segment's SDK gives to each."""
    sent = {"et": "2026-11-28T00:00:00.123Z", "sent_at": "2026-11-28T02:40:50.516Z"}
    events = [
        event | {"event_id": f"node-next-1795833650209-{event['uid']}"} | sent for event in others(EVENTS_A_BATCH)
    ]
    return Traffic("our batch, with ids and times", (post(encoded(events)),), EVENTS_A_BATCH)


def plain_batch() -> Traffic:
    """Batches of 100 events without ids."""
    return Traffic("our batch of 100", (post(encoded(others(EVENTS_A_BATCH))),), EVENTS_A_BATCH)


def segment_batch() -> Traffic:
    """Batches of 100 `track` calls of Segment's SDK, with what the events of `batch` have."""
    calls = [_call(event) for event in others(EVENTS_A_BATCH)]
    body = encoded({"batch": calls, "sentAt": "2026-11-28T02:40:50.516Z", "writeKey": "sdk"})
    headers = {"authorization": "Basic c2RrOg=="}
    return Traffic("Segment", (post(body, target="/v1/batch", headers=headers),), EVENTS_A_BATCH)


def _target(prop_id: int) -> str:
    return TARGET.replace(f"prop_id={PROP_ID}", f"prop_id={prop_id}")


def _call(event: dict[str, object]) -> dict[str, object]:
    """The call that Segment's SDK would make for an event of ours."""
    return {
        "type": "track",
        "event": event["ea"],
        "messageId": f"node-next-1795833650209-{event['uid']}",
        "timestamp": "2026-11-28T00:00:00.123Z",
        "anonymousId": event["aid"],
        "userId": event["uid"],
        "properties": event["extra"],
        "context": {"library": {"name": "analytics-node", "version": "3.1.0"}, "page": event["context"]},
        "integrations": {},
        "_metadata": {"nodeVersion": "v20.20.2"},
    }
