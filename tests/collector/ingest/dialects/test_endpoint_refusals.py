"""The endpoint of a dialect: refusals as its SDK needs them, rates, shedding, sinks, and settings documents."""

import asyncio
import json
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from collector.acknowledgements import Acknowledgements
from collector.ingest.dialects.dialect import Dialect
from collector.ingest.dialects.senders import Senders
from collector.ingest.dialects.settings_documents import SettingsDocumentEndpoint
from collector.ingest.dialects.table import documents_of
from collector.ingest.policy.properties import Registry
from collector.settings import Limits, PropertySettings
from tests.collector.ingest.dialects.serving import (
    CLOUD,
    MATOMO,
    POSTHOG,
    SEGMENT,
    SNOWPLOW,
    TP2,
    TRACK,
    batch,
    check_accounts,
    counted,
    payloads,
    serve,
)
from tests.collector.live_dialect import Send, sdk_head
from tests.collector.live_intake import NOW_MS, Logs
from wal.committer import Committer

OPEN = PropertySettings(1, 1, id="open", dedup="off")
ONE: dict[str, tuple[Dialect, str, bytes]] = {
    "segment": (SEGMENT, "/v1/batch", batch(TRACK, writeKey="open")),
    "snowplow": (SNOWPLOW, TP2, payloads({"e": "pv", "aid": "open"})),
    "matomo": (MATOMO, "/matomo.php", b'{"requests":["?rec=1&idsite=open"]}'),
    "posthog": (POSTHOG, "/batch/", b'{"api_key":"open","batch":[{"event":"E"}]}'),
    "cloudevents": (CLOUD, "/event?id=open", b'{"specversion":"1.0","id":"1","source":"s","type":"t"}'),
}
"""A request with one event, by dialect."""
CLOUD_TYPE = {"content_type": "application/cloudevents+json"}


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ("path", 404, "not_found"),
        ("method", 405, "method_not_allowed"),
        ("url", 414, "url_too_long"),
        ("coding", 415, "unsupported_media"),
        ("events", 413, "too_large"),
    ],
)
def test_a_refusal_has_a_code_and_a_message_and_a_status_that_the_sdk_survives(
    tmp_path: Path, name: str, change: str, status: int, code: str
) -> None:
    dialect, target, body = ONE[name]
    query = "&" if "?" in target else "?"

    async def use(logs: Logs, send: Send) -> None:
        sent: dict[str, tuple[str, str, bytes]] = {
            "path": ("POST", target.replace("=open", "=nobody"), body.replace(b"open", b"nobody")),
            "method": ("PUT", target, body),
            "url": ("POST", f"{target}{query}a={'x' * 30_000}", body),
            "coding": ("POST", target, body),
            "events": ("POST", target, _many(body)),
        }
        got = await send(*sent[change], **CLOUD_TYPE, **({"content_encoding": "br"} if change == "coding" else {}))
        is_dropped = name == "snowplow" and status in (405, 413, 414, 415)
        assert got.status == (400 if is_dropped else status)
        answer = json.loads(got.body)
        assert answer["code"] == code
        assert answer["message"]
        assert (logs.stored, logs.dead) == ([], [])

    serve(tmp_path, dialect, use, OPEN)


def _many(body: bytes) -> bytes:
    """The same body with 2,501 events."""
    at = body.find(b"[")
    if at < 0:
        return b"[" + b",".join([body] * 2501) + b"]"
    end = body.rindex(b"]")
    return body[: at + 1] + b",".join([body[at + 1 : end]] * 2501) + body[end:]


@pytest.mark.parametrize(
    ("dialect", "target", "body"),
    [
        (SNOWPLOW, TP2, b"\x1f\x8bjunk"),
        (SNOWPLOW, TP2, b"{}"),
        (SEGMENT, "/v1/batch", b'{"batch":"\xff"}'),
        (POSTHOG, "/batch/", b"{"),
    ],
)
def test_a_body_that_can_not_be_read_is_a_400_although_it_names_no_property(
    tmp_path: Path, dialect: Dialect, target: str, body: bytes
) -> None:
    async def use(_logs: Logs, send: Send) -> None:
        assert (await send("POST", target, body)).status == 400

    serve(tmp_path, dialect, use, OPEN)


# Rates


@pytest.mark.parametrize(("name", "status"), [*((name, 429) for name in ONE if name != "posthog"), ("posthog", 503)])
def test_over_its_rate_a_property_is_refused_for_a_while(tmp_path: Path, name: str, status: int) -> None:
    dialect, target, body = ONE[name]

    async def use(logs: Logs, send: Send) -> None:
        assert (await send("POST", target, body, **CLOUD_TYPE)).status == 200
        got = await send("POST", target, body, **CLOUD_TYPE)
        assert (got.status, json.loads(got.body)["code"]) == (status, "rate_limited")
        assert int(dict(got.headers)[b"retry-after"]) > 1
        assert len(logs.stored) == 1
        check_accounts(logs, 1, received=2)

    serve(tmp_path, dialect, use, PropertySettings(1, 1, id="open", dedup="off", events_per_second=0.01))


def test_where_one_property_is_over_its_rate_no_other_events_of_the_body_are_stored(tmp_path: Path) -> None:
    async def use(logs: Logs, send: Send) -> None:
        calls = [{**TRACK, "writeKey": key} for key in ("open", "slow", "slow")]
        assert (await send("POST", "/v1/batch", batch(*calls))).status == 429
        assert logs.stored == []
        check_accounts(logs, 1, received=1)
        check_accounts(logs, 2, received=2)

    serve(tmp_path, SEGMENT, use, OPEN, PropertySettings(1, 2, id="slow", events_per_second=1))


def test_bad_events_over_their_rate_do_not_keep_good_ones_from_the_log(tmp_path: Path) -> None:
    server = {**TRACK, "channel": "server"}

    async def use(logs: Logs, send: Send) -> None:
        for _ in range(5):
            assert (await send("POST", "/v1/batch", batch(server, {"type": "x"}, writeKey="open"))).status == 200
        assert len(logs.stored) == 5
        assert (await send("POST", "/v1/batch", batch({"type": "x"}, writeKey="open"))).status == 429
        check_accounts(logs, 1, received=11)

    serve(tmp_path, SEGMENT, use, PropertySettings(1, 1, id="open", rejects_per_second=0.001))


# A log that is nearly full, and sinks


@pytest.mark.parametrize(
    ("name", "method", "target", "status"),
    [
        ("segment", "POST", "/v1/batch", 503),
        ("snowplow", "POST", TP2, 503),
        ("posthog", "POST", "/batch/", 503),
        ("cloudevents", "POST", "/event?id=open", 503),
        ("segment", "POST", "/api/s/s2s/track", 200),
        ("posthog", "POST", "/batch/?beacon=1", 200),
        ("matomo", "POST", "/matomo.php", 200),
    ],
)
def test_requests_that_nobody_sends_again_are_shed_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, method: str, target: str, status: int
) -> None:
    dialect, _, body = ONE[name]

    async def use(logs: Logs, send: Send) -> None:
        monkeypatch.setattr(Committer, "pressure", property(lambda _: 0.99))
        body_or_call = b'{"event":"E","writeKey":"open"}' if "/api/" in target else body
        got = await send(method, target, body_or_call, **CLOUD_TYPE)
        assert got.status == status
        assert status == 200 or dict(got.headers)[b"retry-after"] == b"1"
        assert len(logs.stored) == (status == 200)

    serve(tmp_path, dialect, use, OPEN)


@pytest.mark.parametrize(("does_ship", "status"), [(True, 200), (False, 503)])
def test_a_property_may_wait_for_its_sink(tmp_path: Path, does_ship: bool, status: int) -> None:
    kafka = Acknowledgements()
    prop = PropertySettings(1, 1, id="open", ack="shipped", ack_sink="kafka", ack_seconds=60 if does_ship else 0.01)

    async def use(logs: Logs, send: Send) -> None:
        sent = asyncio.ensure_future(send("POST", "/v1/batch", batch(TRACK, TRACK, {"type": "x"}, writeKey="open")))
        if does_ship:
            while logs.committer.durable.sequence <= 1:
                await asyncio.sleep(0.001)
            kafka.move(10)
        assert (await sent).status == status
        assert len(logs.stored) == counted(logs, "stored", 1) == 2
        check_accounts(logs, 1, received=3)

    serve(tmp_path, SEGMENT, use, prop, confirmations={"kafka": kafka})


# Settings documents


def _document(method: str, target: str, **headers: Any) -> Any:
    """The response for a page's SDK; those of Segment come first in the table."""
    senders = Senders(
        SEGMENT, Registry([OPEN, PropertySettings(1, 2, id="none", dialects=())]), _PROXIES, lambda: NOW_MS
    )
    segment, rudder = (SettingsDocumentEndpoint(each, senders) for each in documents_of(SEGMENT))
    return (segment if target.startswith("/v1/") else rudder).admit(sdk_head(method, target, **headers))


_PROXIES = (ip_network("203.0.113.0/24"),)
_PROJECT = "/v1/projects/open/settings"


@pytest.mark.parametrize(
    ("target", "headers", "status", "code"),
    [
        (_PROJECT, {}, 200, None),
        ("/v1/projects/%6fpen/settings", {}, 200, None),
        ("/sourceConfig/?writeKey=open", {}, 200, None),
        ("/v1/projects/nobody/settings", {}, 404, "not_found"),
        ("/v1/projects/none/settings", {}, 404, "not_found"),
        ("/sourceConfig", {}, 404, "not_found"),
        (_PROJECT, {"host": "evil.example/v1#"}, 400, "invalid_query"),
        (_PROJECT, {"host": b'\xff"'}, 400, "invalid_query"),
        (_PROJECT, {"host": ""}, 400, "invalid_query"),
    ],
)
def test_a_settings_document_is_for_a_property_that_exists_and_a_host_that_can(
    target: str, headers: dict[str, Any], status: int, code: str | None
) -> None:
    got = _document("GET", target, **({"host": "t.example:8080"} | headers))
    assert got.status == status
    assert json.loads(got.body).get("code") == code


@pytest.mark.parametrize(("headers", "scheme"), [({}, "http"), ({"x_forwarded_proto": "https"}, "https")])
def test_the_page_sends_by_the_scheme_that_it_was_loaded_with(headers: dict[str, Any], scheme: str) -> None:
    got = _document("GET", _PROJECT, host="t.example", **headers)
    assert json.loads(got.body)["integrations"]["Segment.io"]["protocol"] == scheme


def test_a_settings_document_can_only_be_read() -> None:
    got = _document("POST", _PROJECT, host="t.example")
    assert (got.status, b"allow: GET, HEAD, OPTIONS" in got.headers) == (405, True)
    assert _document("OPTIONS", _PROJECT, origin="https://any.example").status == 204


def test_limits_of_urls_count_the_path_too(tmp_path: Path) -> None:
    async def use(_: Logs, send: Send) -> None:
        assert (await send("GET", f"/{'a' * 3000}/matomo.php?rec=1")).status == 414

    serve(tmp_path, MATOMO, use, OPEN, limits=Limits(url_bytes=2048))
