"""The bytes that a request of an SDK brings bound what it adds to the log and the dead letters, in every dialect."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import pytest

from collector.ingest.dialects.cloudevents.dialect import CloudEvents
from collector.ingest.dialects.dialect import Dialect
from collector.ingest.dialects.matomo.dialect import Matomo
from collector.ingest.dialects.posthog.dialect import PostHog
from collector.ingest.dialects.segment.dialect import SegmentDialect
from collector.ingest.dialects.snowplow.dialect import Snowplow
from collector.settings import PropertySettings
from tests.collector.live_dialect import dialect_endpoint, sender
from tests.collector.live_intake import live_intake
from tests.running import read_log

_DIALECTS: Final[tuple[Dialect, ...]] = (SegmentDialect(), Snowplow(), Matomo(), PostHog(), CloudEvents())
_BY_NAME: Final = {dialect.name: dialect for dialect in _DIALECTS}
_TP2: Final = "/com.snowplowanalytics.snowplow/tp2"
_HEADERS: Final = {
    "none": {},
    "long": {"user_agent": b"\xe9" * 5000, "referer": b'"' * 5000},
}
_PROPERTIES: Final = [
    PropertySettings(33167, number, id=f"p{number}", dedup="off", rejects_per_second=1e9) for number in range(2, 40)
]


class _Shape(NamedTuple):
    """A request that tries to add much to the log."""

    dialect: str
    target: str
    events: int
    body: bytes = b""


def _segment(calls: list[Any], target: str = "/v1/batch?writeKey=p2", **members: Any) -> _Shape:
    return _Shape("segment", target, len(calls), json.dumps({"batch": calls, **members}).encode())


def _snowplow(events: list[Any], target: str = _TP2 + "?aid=p2") -> _Shape:
    return _Shape("snowplow", target, len(events), json.dumps({"schema": "s", "data": events}).encode())


def _matomo(events: list[Any]) -> _Shape:
    return _Shape("matomo", "/matomo.php?idsite=p2", len(events), json.dumps({"requests": events}).encode())


def _posthog(events: list[Any], **members: Any) -> _Shape:
    return _Shape("posthog", "/batch/", len(events), json.dumps({"api_key": "p2", "batch": events, **members}).encode())


def _cloud(events: list[Any]) -> _Shape:
    return _Shape("cloudevents", "/event?id=p2", len(events), json.dumps(events).encode())


_TRACK: Final = {"type": "track", "event": "E"}
_CLOUD: Final = {"specversion": "1.0", "type": "t", "source": "s", "id": "1"}
_UUID: Final = "0" * 8 + "-0000-0000-0000-" + "0" * 12
_SHAPES: Final = {
    "segment: a user agent of the batch": _segment(
        [_TRACK] * 2500, context={"userAgent": "\x01" * 1024, "ip": "1.2.3.4"}
    ),
    "segment: a context of the batch": _segment([_TRACK] * 2500, context={"a": "x" * 32_000}),
    "segment: a context of the batch with a short UA": _segment([_TRACK] * 700, context={"userAgent": "x" * 900}),
    "segment: a time of the batch": _segment([_TRACK] * 2500, sentAt="2026-01-01T00:00:00.000000000+00:00" + "x" * 20),
    "segment: long ids": _segment([{**_TRACK, "messageId": f"{at:0100}"} for at in range(2500)]),
    "segment: ids in escapes": _segment([{**_TRACK, "messageId": "\x01" * 100, "userId": "\x01" * 200}] * 2500),
    "segment: no times": _segment([{**_TRACK, "timestamp": [], "sentAt": {}}] * 2500),
    "segment: long ids and no times": _segment(
        [{**_TRACK, "messageId": f"{at:0100}", "timestamp": [0], "sentAt": [0]} for at in range(2500)]
    ),
    "segment: many properties": _segment([{**_TRACK, "writeKey": f"p{at % 16 + 2}"} for at in range(160)], "/v1/batch"),
    "segment: many properties, an event each": _segment(
        [{**_TRACK, "writeKey": f"p{at + 2}"} for at in range(16)], "/v1/batch"
    ),
    "segment: too many properties": _segment([{**_TRACK, "writeKey": f"p{at + 2}"} for at in range(38)], "/v1/batch"),
    "segment: many secrets": _segment([{**_TRACK, "writeKey": f"p2:{at}"} for at in range(2500)], "/v1/batch"),
    "segment: bad events of many properties": _segment(
        [{"type": 1, "writeKey": f"p{at + 2}"} for at in range(16)], "/v1/batch"
    ),
    "segment: bad and good events of many properties": _segment(
        [{**_TRACK, "type": at // 16 or "track", "writeKey": f"p{at % 16 + 2}"} for at in range(32)], "/v1/batch"
    ),
    "segment: bad events": _segment([1] * 2500),
    "segment: bad in many ways": _segment([{"type": f"{at}"} for at in range(2500)]),
    "segment: servers and visitors": _segment([_TRACK, {**_TRACK, "channel": "server"}, {}] * 5),
    "segment: items": _segment([{**_TRACK, "properties": {"products": [{}] * 900}}] * 50),
    "snowplow: sessions": _snowplow([{"e": "pv", "sid": _UUID, "eid": "i" * 64}] * 2500),
    "snowplow: long ids": _snowplow([{"e": "pv", "sid": _UUID, "eid": f"{at:0100}"} for at in range(2500)]),
    "snowplow: UUIDs": _snowplow([{"e": "pv", "sid": _UUID}] * 2500),
    "snowplow: schemas": _snowplow(
        [
            {
                "e": "ue",
                "ue_pr": json.dumps(
                    {
                        "schema": "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0",
                        "data": {"schema": "iglu:" + "v" * 200 + "/" + "n" * 200 + "/jsonschema/1-0-0", "data": {}},
                    }
                ),
            }
        ]
        * 500
    ),
    "snowplow: user agents": _snowplow([{"e": "pv", "ua": "\x7f\x01" * 512, "ip": "1.2.3.4"}] * 500),
    "snowplow: many apps": _snowplow([{"e": "pv", "aid": f"p{at % 16 + 2}", "ip": "::1"} for at in range(64)], _TP2),
    "snowplow: GET of escapes": _Shape("snowplow", "/i?e=pv&aid=p2&page=" + "%01" * 6000, 1),
    "snowplow: GET of a user agent of escapes": _Shape("snowplow", "/i?e=pv&aid=p2&ua=" + "%01" * 1024, 1),
    "snowplow: GET of 0x01": _Shape("snowplow", "/i?e=pv&aid=p2&page=" + "\x01" * 1000, 1),
    "snowplow: bad GET of escapes": _Shape("snowplow", "/i?aid=p2&page=" + "%01" * 6000, 1),
    "matomo: queries of escapes": _matomo(["?rec=1&a=" + "%01" * 300] * 2500),
    "matomo: user agents of escapes": _matomo(["?rec=1&ua=" + "%01" * 1024] * 1000),
    "matomo: bad queries of escapes": _matomo(["?a=" + "%01" * 300] * 2500),
    "matomo: pairs": _matomo(["?rec=1&" + "&".join(f"{at:x}" for at in range(400))] * 500),
    "matomo: short": _matomo(["?rec=1"] * 2500),
    "matomo: dimensions": _matomo(["?rec=1&dimension1=1&ping=1&uid=u&cid=c&cdt=1"] * 2500),
    "matomo: items": _matomo(["?rec=1&idgoal=0&ec_id=1&ec_items=" + quote(json.dumps([["a", "b"]] * 20))] * 200),
    "posthog: a key and a time of the batch": _posthog([{"event": "E"}] * 2500, sent_at="x" * 3000),
    "posthog: long ids": _posthog([{"event": "E", "uuid": f"{at:0100}"} for at in range(2500)]),
    "posthog: ids in escapes": _posthog([{"event": "E", "uuid": "\x01" * 100, "distinct_id": "\x01" * 200}] * 2500),
    "posthog: sessions": _posthog([{"event": "E", "properties": {"$session_id": _UUID}}] * 2500),
    "posthog: user agents": _posthog(
        [{"event": "E", "properties": {"$raw_user_agent": "\x01" * 1024, "$ip": "::1"}}] * 700
    ),
    "posthog: short": _posthog([{"event": "E"}] * 2500),
    "posthog: base64": _Shape("posthog", "/e/?api_key=p2", 1, base64.b64encode(b'{"event":"' + b"\x7f" * 3000 + b'"}')),
    "posthog: bad base64": _Shape(
        "posthog", "/e/?api_key=p2", 1, base64.b64encode(b'{"event":"' + b"\x01" * 3000 + b'"}')
    ),
    "cloudevents: long ids": _cloud([{**_CLOUD, "id": f"{at:0100}", "source": "s" * 50} for at in range(2500)]),
    "cloudevents: sources in escapes": _cloud([{**_CLOUD, "source": "\x01" * 40}] * 2500),
    "cloudevents: short": _cloud([_CLOUD] * 2500),
    "cloudevents: a long source": _cloud([{**_CLOUD, "source": "\x01" * 9000}] * 10),
}


@pytest.mark.parametrize("headers", _HEADERS)
@pytest.mark.parametrize("name", _SHAPES)
def test_a_request_of_an_sdk_adds_at_most_its_body_512_bytes_an_event_and_8_kib(
    tmp_path: Path, name: str, headers: str
) -> None:
    shape = _SHAPES[name]

    async def run() -> int:
        async with live_intake(tmp_path) as logs:
            send = sender(dialect_endpoint(logs, _BY_NAME[shape.dialect], *_PROPERTIES))
            content_type = "application/cloudevents-batch+json" if shape.dialect == "cloudevents" else "text/plain"
            method = "POST" if shape.body else "GET"
            return (await send(method, shape.target, shape.body, content_type=content_type, **_HEADERS[headers])).status

    status = asyncio.run(run())
    assert status in (200, 400, 413)
    added = sum(_bytes_of(tmp_path / folder) for folder in ("log", "dead"))
    sent = len(shape.body) or len(shape.target)
    assert added <= sent + 512 * shape.events + 8192, (status, (added - sent - 8192) / shape.events)


def _bytes_of(folder: Path) -> int:
    lines = [json.dumps(record, separators=(",", ":"), ensure_ascii=False) for record in read_log(folder)]
    return sum(len(line.encode()) + 1 for line in lines)
