"""The endpoint of a dialect: who may send to which property, and what becomes of the others' events."""

import asyncio
import base64
import json
from pathlib import Path

import pytest

from collector.ingest.dialects.dialect import Dialect
from collector.ingest.dialects.endpoint import DialectRequest
from collector.ops.notices import Notices
from collector.settings import Limits, PropertySettings
from tests.collector.ingest.dialects.serving import (
    CLOUD,
    MATOMO,
    POSTHOG,
    SEGMENT,
    SHOP,
    SNOWPLOW,
    TP2,
    TRACK,
    batch,
    check_accounts,
    counted,
    events_of,
    payloads,
    serve,
)
from tests.collector.live_dialect import Send, dialect_endpoint, sdk_head
from tests.collector.live_intake import Logs, live_intake

OPEN = PropertySettings(1, 1, id="open")
LISTED = PropertySettings(1, 2, id="listed", origins=(SHOP,))
KEYED = PropertySettings(1, 3, id="keyed", write_keys=("env:KEY",))
SECRET = "0123456789/abcdef"


@pytest.fixture(autouse=True)
def _write_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", SECRET)


def _basic(text: str) -> str:
    return "Basic " + base64.b64encode(f"{text}:".encode()).decode()


# Pages


@pytest.mark.parametrize(
    ("properties", "origin", "allowed"),
    [
        ((OPEN, LISTED), "https://any.example", "https://any.example"),
        ((OPEN, LISTED), SHOP, SHOP),
        ((LISTED,), SHOP, SHOP),
        ((LISTED,), "https://any.example", None),
    ],
)
def test_a_preflight_has_no_key_and_is_allowed_if_any_property_allows_it(
    tmp_path: Path, properties: tuple[PropertySettings, ...], origin: str, allowed: str | None
) -> None:
    async def use(logs: Logs, send: Send) -> None:
        got = await send("OPTIONS", "/v1/t", origin=origin)
        headers = dict(got.headers)
        assert got.status == 204
        assert headers.get(b"access-control-allow-origin") == (allowed and allowed.encode())
        assert b"authorization" in headers[b"access-control-allow-headers"]
        assert not [key for key in logs.counters.read() if key[0].startswith("tracklog_events")]

    serve(tmp_path, SEGMENT, use, *properties)


def test_the_response_may_be_read_by_pages_of_the_property_that_the_event_names(tmp_path: Path) -> None:
    async def use(_: Logs, send: Send) -> None:
        listed = await send("POST", "/v1/batch", batch(TRACK, writeKey="listed"), origin=SHOP)
        assert dict(listed.headers)[b"access-control-allow-origin"] == SHOP.encode()
        assert dict(listed.headers)[b"access-control-allow-credentials"] == b"true"
        anyone = await send("POST", "/v1/batch", batch(TRACK, writeKey="open"), origin="https://any.example")
        assert dict(anyone.headers)[b"access-control-allow-origin"] == b"*"

    serve(tmp_path, SEGMENT, use, OPEN, LISTED)


def test_an_unlisted_page_stores_nothing(tmp_path: Path) -> None:
    async def use(logs: Logs, send: Send) -> None:
        got = await send("POST", "/v1/batch", batch(TRACK, writeKey="listed"), origin="https://evil.example")
        assert (got.status, json.loads(got.body)["code"]) == (403, "forbidden")
        assert b"access-control-allow-origin" not in dict(got.headers)
        assert (logs.stored, logs.dead) == ([], [])
        check_accounts(logs, 2, received=1)

    serve(tmp_path, SEGMENT, use, OPEN, LISTED)


# Keys


def test_events_of_one_body_go_each_to_its_property_and_only_where_they_may(tmp_path: Path) -> None:
    keys = ("open", "nobody", "keyed", f"keyed:{SECRET}", "listed", "open")

    async def use(logs: Logs, send: Send) -> None:
        calls = [{**TRACK, "event": f"E{at}", "writeKey": key} for at, key in enumerate(keys)]
        assert (await send("POST", "/v1/batch", batch(*calls), origin="https://evil.example")).status == 200
        assert events_of(logs) == [(1, "E0"), (1, "E5"), (3, "E3")]
        check_accounts(logs, 1, received=2)
        check_accounts(logs, 2, received=1)
        check_accounts(logs, 3, received=2)
        assert counted(logs, "rejected", 3) == counted(logs, "rejected", 2) == 1

    serve(tmp_path, SEGMENT, use, OPEN, LISTED, KEYED)


@pytest.mark.parametrize(
    ("head", "body", "stored"),
    [
        (f"keyed:{SECRET}", None, [3]),
        (f"keyed:{SECRET}", "open", [3]),
        ("keyed", f"keyed:{SECRET}", [3]),
        ("keyed", f":{SECRET}", [3]),
        ("keyed", ":wrong", []),
        ("open", ":anything", [1]),
        ("keyed", "open", []),
        ("keyed:wrong", f"keyed:{SECRET}", []),
        ("nobody", "open", []),
        ("", f"keyed:{SECRET}", [3]),
    ],
)
def test_the_key_in_the_head_counts_unless_only_the_one_in_the_body_has_a_secret(
    tmp_path: Path, head: str, body: str | None, stored: list[int]
) -> None:
    async def use(logs: Logs, send: Send) -> None:
        sent = batch(TRACK, writeKey=body) if body else batch(TRACK)
        got = await send("POST", "/v1/batch", sent, **({"authorization": _basic(head)} if head else {}))
        assert got.status in ((200,) if stored else (403, 404))
        assert [record["prop_id"] for record in logs.stored] == stored

    serve(tmp_path, SEGMENT, use, OPEN, KEYED)


def test_a_property_takes_the_dialects_that_its_settings_name(tmp_path: Path) -> None:
    async def use(logs: Logs, send: Send) -> None:
        for key, status in (("none", 404), ("other", 404), ("this", 200)):
            got = await send("POST", "/v1/t", json.dumps({**TRACK, "writeKey": key}).encode())
            assert got.status == status
        assert [record["prop_id"] for record in logs.stored] == [3]

    properties = [
        PropertySettings(1, 1, id="none", dialects=()),
        PropertySettings(1, 2, id="other", dialects=("matomo",)),
    ]
    serve(tmp_path, SEGMENT, use, *properties, PropertySettings(1, 3, id="this", dialects=("segment",)))


def test_a_write_key_in_place_of_an_id_is_not_in_the_process_log(tmp_path: Path) -> None:
    async def use(logs: Logs, send: Send) -> None:
        got = await send("POST", "/v1/t", json.dumps(TRACK).encode(), authorization=f"Bearer {SECRET}")
        assert got.status == 404
        assert SECRET not in str(_lines(logs.notices))

    serve(tmp_path, SEGMENT, use, KEYED)


def test_the_process_log_tells_that_a_request_names_no_property(tmp_path: Path) -> None:
    async def use(logs: Logs, send: Send) -> None:
        assert (await send("POST", "/v1/t", json.dumps(TRACK).encode())).status == 404
        assert [line for line in _lines(logs.notices) if "(none named)" in line]

    serve(tmp_path, SEGMENT, use, OPEN)


def _lines(notices: Notices) -> list[str]:
    return [event.message() for event in notices.due(1.0, is_last=True)]


def test_too_many_senders_in_one_body_are_refused_together(tmp_path: Path) -> None:
    async def use(logs: Logs, send: Send) -> None:
        calls = [{**TRACK, "writeKey": f"open:{at}"} for at in range(100)]
        got = await send("POST", "/v1/batch", batch(*calls))
        assert (got.status, json.loads(got.body)["code"]) == (413, "too_large")
        assert (logs.stored, logs.dead) == ([], [])

    serve(tmp_path, SEGMENT, use, OPEN)


# Bad events and secrets


@pytest.mark.parametrize(
    ("dialect", "target", "body", "stored"),
    [
        (SEGMENT, "/v1/batch", batch({**TRACK, "writeKey": "open"}, 7, {"type": 1}), 1),
        (SEGMENT, "/v1/batch", batch(7, {"type": "x"}, writeKey="open"), 0),
        (SEGMENT, "/v1/batch", batch({"type": 1, "writeKey": "open"}, {"type": "x", "writeKey": "open"}), 0),
        (POSTHOG, "/batch/", b'{"api_key":"open","batch":[{"event":"E"},{"event":1},7]}', 1),
        (POSTHOG, "/e/", b'[{"event":1,"properties":{"token":"open"}},{"event":[],"api_key":"open"}]', 0),
        (SNOWPLOW, TP2, payloads({"e": "pv", "aid": "open"}, {"e": "pv", "aid": "open", "x": {}}, 7), 1),
        (SNOWPLOW, TP2, payloads({"e": "pv", "aid": "open", "x": {}}, {"e": "?", "aid": "open"}), 0),
        (MATOMO, "/matomo.php", b'{"requests":["?rec=1&idsite=open","?idsite=open",7]}', 1),
        (CLOUD, "/event?id=open", b'[{"specversion":"1.0","id":"1","source":"s","type":"t"},7,{}]', 1),
    ],
)
def test_a_bad_event_leaves_a_dead_letter_whatever_names_its_property(
    tmp_path: Path, dialect: Dialect, target: str, body: bytes, stored: int
) -> None:
    async def use(logs: Logs, send: Send) -> None:
        assert (await send("POST", target, body, content_type="application/cloudevents+json")).status == 200
        (letter,) = logs.dead
        assert (len(logs.stored), sum(len(each["indexes"]) for each in letter["refusals"])) == (stored, 2)
        check_accounts(logs, 1, received=stored + 2)

    serve(tmp_path, dialect, use, OPEN)


@pytest.mark.parametrize(
    ("dialect", "target", "body"),
    [
        (
            SEGMENT,
            "/v1/batch",
            batch({"type": "x"}, {"type": 1, "writeKey": f"keyed:{SECRET}"}, writeKey=f"keyed:{SECRET}"),
        ),
        (SEGMENT, f"/v1/batch?writeKey=keyed:{SECRET}", b'{"batch":1,"writeKey":"keyed:%b"}' % SECRET.encode()),
        (SEGMENT, f"/v1/batch?writeKey=keyed:{SECRET}", rb'{"writeKey":"keyed:0123456789\/abcdef"'),
        (SEGMENT, f"/v1/batch?writeKey=keyed:{SECRET}", b'{"writeKey" : "keyed:another-key-of-it"'),
        (SEGMENT, f"/v1/batch?writeKey=keyed:{SECRET}", b"\x1f\x8b" + SECRET.encode()),
        (
            SNOWPLOW,
            TP2,
            payloads({"e": "pv", "aid": f"keyed:{SECRET}"}, {"e": "pv", "aid": f"keyed:{SECRET}", "x": {}}),
        ),
        (SNOWPLOW, "/i?" + f"aid=keyed:{SECRET}" + "&page=" + "%01" * 99, b""),
        (MATOMO, "/matomo.php", b'{"requests":["?idsite=keyed&token_auth=%b"]}' % SECRET.encode()),
        (
            MATOMO,
            "/matomo.php",
            b'{"requests":["?idsite=keyed&a=%s"],"token_auth":"%b"}' % (b"%01" * 99, SECRET.encode()),
        ),
        (POSTHOG, "/e/", b'{"api_key":"keyed:%b","event":1}' % SECRET.encode()),
        (POSTHOG, "/e/", b'{"api_key":"keyed:%b","event":"E","properties":{"token":"keyed"}}' % SECRET.encode()),
        (POSTHOG, "/e/", b'{"api_key":"keyed","event":"E","properties":{"token":"keyed:%b"}}' % SECRET.encode()),
        (POSTHOG, f"/e/?api_key=keyed:{SECRET}", base64.b64encode(b'{"api_key":"keyed:%b"' % SECRET.encode())),
    ],
)
def test_no_log_has_a_secret(tmp_path: Path, dialect: Dialect, target: str, body: bytes) -> None:
    async def use(logs: Logs, send: Send) -> None:
        await send("POST" if body else "GET", target, body)
        assert counted(logs, "received", 3) > 0
        text = json.dumps([logs.stored, logs.dead])
        assert SECRET not in text.replace("\\", "")
        assert "another-key" not in text

    serve(tmp_path, dialect, use, OPEN, KEYED)


def test_the_events_of_a_client_that_leaves_are_not_stored_and_are_counted(tmp_path: Path) -> None:
    async def run() -> None:
        async with live_intake(tmp_path) as logs:
            served = dialect_endpoint(logs, SEGMENT, OPEN)
            request = served.admit(sdk_head("POST", "/v1/batch?writeKey=open"))
            assert isinstance(request, DialectRequest)
            request.body, request.is_gone = batch(TRACK, 7), True
            await asyncio.wait([served.take(request).until])
            await asyncio.sleep(0)
            assert logs.stored == []
            check_accounts(logs, 1, received=1)

    asyncio.run(run())


def test_a_body_of_more_events_than_a_request_may_have_is_refused_as_its_sdk_needs(tmp_path: Path) -> None:
    async def use(logs: Logs, send: Send) -> None:
        got = await send("POST", TP2, payloads(*[{"e": "pv", "aid": "open"}] * 2501))
        assert (got.status, json.loads(got.body)["code"]) == (400, "too_large")
        assert logs.stored == []

    serve(tmp_path, SNOWPLOW, use, OPEN, limits=Limits())
