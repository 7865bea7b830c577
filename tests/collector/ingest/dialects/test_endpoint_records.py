"""The endpoint of a dialect: what records and dead letters have of the sender, and which events are stored again."""

import json
from pathlib import Path
from typing import Any

import pytest

from collector.dead_letters.letter_selection import LetterSelection
from collector.dead_letters.redrive import redrive
from collector.ingest.dialects.dialect import Dialect
from collector.settings import PropertySettings, load_settings
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
from tests.collector.live_dialect import Send
from tests.collector.live_intake import Logs, ask, endpoint
from tests.running import read_log

OPEN = PropertySettings(1, 1, id="open")
PRIVATE = PropertySettings(1, 2, id="private", ip="drop", user_agent="drop")
TRUNCATED = PropertySettings(1, 3, id="truncated", ip="truncate")
BROWSER = {"user_agent": "Mozilla/5.0", "referer": "https://shop.example.com/"}
SENT = ("POST", "/v1/batch")


def _sender(record: dict[str, Any]) -> tuple[Any, ...]:
    return record["ip"], record["user_agent"], record["referer"], record["s2s"]


# The sender


@pytest.mark.parametrize(
    ("call", "headers", "sender"),
    [
        (TRACK, {}, ("203.0.113.7", "Mozilla/5.0", "https://shop.example.com/", False)),
        ({**TRACK, "channel": "server"}, {}, (None, None, None, True)),
        ({**TRACK, "context": {"library": {"name": "analytics-go"}}}, {}, (None, None, None, True)),
        ({**TRACK, "context": {"ip": "198.51.100.9"}}, {}, ("198.51.100.9", "Mozilla/5.0", None, False)),
        ({**TRACK, "context": {"ip": "no address"}}, {}, (None, "Mozilla/5.0", None, False)),
    ],
)
def test_a_record_has_what_is_known_of_the_visitor_and_nothing_of_a_server(
    tmp_path: Path, call: object, headers: dict[str, str], sender: tuple[Any, ...]
) -> None:
    async def use(logs: Logs, send: Send) -> None:
        assert (await send(*SENT, batch(call, writeKey="open"), **BROWSER, **headers)).status == 200
        assert _sender(logs.stored[0]) == sender

    serve(tmp_path, SEGMENT, use, OPEN)


def test_of_an_anonymous_visitor_nothing_is_recorded(tmp_path: Path) -> None:
    async def use(logs: Logs, send: Send) -> None:
        sent = payloads({"e": "pv", "aid": "open", "ip": "198.51.100.9"})
        got = await send("POST", TP2, sent, sp_anonymous="*", **BROWSER)
        assert got.status == 200
        assert b"set-cookie" not in dict(got.headers)
        assert _sender(logs.stored[0]) == (None, None, None, False)

    serve(tmp_path, SNOWPLOW, use, OPEN)


_ADDRESS, _AGENT = "198.51.100.9", "Told/1.0"
_TOLD: dict[str, tuple[Dialect, str, bytes]] = {
    "segment": (
        SEGMENT,
        "/v1/batch?writeKey=",
        batch({**TRACK, "context": {"ip": _ADDRESS, "userAgent": _AGENT}}, {"type": "x", "context": {"ip": _ADDRESS}}),
    ),
    "segment, of the batch": (
        SEGMENT,
        "/v1/batch?writeKey=",
        batch(TRACK, context={"ip": _ADDRESS, "userAgent": _AGENT}),
    ),
    "snowplow": (
        SNOWPLOW,
        f"{TP2}?aid=",
        payloads({"e": "pv", "ip": _ADDRESS, "ua": _AGENT}, {"e": "?", "ip": _ADDRESS, "ua": _AGENT}),
    ),
    "matomo": (
        MATOMO,
        "/matomo.php?idsite=",
        json.dumps(
            {"requests": [f"?rec=1&cip={_ADDRESS}&ua={_AGENT}", f"?cip={_ADDRESS}&a=" + "%01" * 99, {"cip": _ADDRESS}]}
        ).encode(),
    ),
    "posthog": (
        POSTHOG,
        "/batch/?api_key=",
        json.dumps(
            [
                {"event": "E", "properties": {"$ip": _ADDRESS, "$raw_user_agent": _AGENT}},
                {"event": 1, "properties": {"$ip": _ADDRESS, "$raw_user_agent": _AGENT}},
            ]
        ).encode(),
    ),
}


@pytest.mark.parametrize("name", _TOLD)
@pytest.mark.parametrize(
    ("prop", "ip", "has_agent"),
    [("open", _ADDRESS, True), ("truncated", "198.51.100.0", True), ("private", None, False)],
)
def test_addresses_and_user_agents_that_events_tell_follow_the_privacy_of_the_property(
    tmp_path: Path, name: str, prop: str, ip: str | None, has_agent: bool
) -> None:
    dialect, target, body = _TOLD[name]

    async def use(logs: Logs, send: Send) -> None:
        assert (await send("POST", target + prop, body)).status == 200
        (record,) = logs.stored
        assert record["ip"] == ip
        assert record["user_agent"] == (_AGENT if has_agent else None)
        kept = json.dumps([logs.stored, logs.dead])
        assert (_ADDRESS in kept) == (prop == "open")
        assert (_AGENT in kept) == has_agent

    serve(tmp_path, dialect, use, OPEN, PRIVATE, TRUNCATED)


@pytest.mark.parametrize(
    "body", [b'{"requests":{"1":"?rec=1&cip=198.51.100.9"}}', b'{"requests":"?rec=1&cip=198.51.100.9"}']
)
def test_an_address_in_a_body_that_can_not_be_read_is_not_kept(tmp_path: Path, body: bytes) -> None:
    async def use(logs: Logs, send: Send) -> None:
        assert (await send("POST", "/matomo.php?idsite=private", body)).status == 200
        assert counted(logs, "rejected", 2) == 1
        assert _ADDRESS not in json.dumps(logs.dead)

    serve(tmp_path, MATOMO, use, PRIVATE)


def test_addresses_elsewhere_in_an_event_follow_the_privacy_too(tmp_path: Path) -> None:
    async def use(logs: Logs, send: Send) -> None:
        call = {**TRACK, "properties": {"client_ip": _ADDRESS, "x": 1}}
        await send(*SENT, batch(call, writeKey="private"))
        assert logs.stored[0]["event"]["extra"] == {"x": 1}

    serve(tmp_path, SEGMENT, use, PRIVATE)


# The same event again


def test_an_event_is_stored_once_whatever_dialect_it_comes_by(tmp_path: Path) -> None:
    prop = PropertySettings(1, 1, id="open", required=("ea",), dedup="1h")

    async def use(logs: Logs, send: Send) -> None:
        for _ in range(2):
            got = await send(*SENT, batch({**TRACK, "messageId": "m-1"}, TRACK, writeKey="open"))
            assert (got.status, got.body) == (200, b'{"success":true}')
        event = b'{"ea":"E","event_id":"m-1"}'
        again = await ask(endpoint(logs, prop), "POST", "id=open&resp_type=json", event)
        assert dict(again.headers)[b"x-event-duplicate"] == b"true"
        assert [record.get("event_id") for record in logs.stored] == ["m-1", None, None]
        assert counted(logs, "duplicate", 1) == 2
        check_accounts(logs, 1, received=5)

    serve(tmp_path, SEGMENT, use, prop)


@pytest.mark.parametrize(("dedup", "stored"), [(None, 1), ("off", 3)])
def test_events_are_stored_once_unless_the_property_turns_that_off(tmp_path: Path, dedup: Any, stored: int) -> None:
    async def use(logs: Logs, send: Send) -> None:
        one = {"e": "pv", "aid": "open", "eid": "5b1f3c1e-0f0c-4c51-9a4b-8f7d6c5b4a39"}
        assert (await send("POST", TP2, payloads(one, one))).status == 200
        assert (await send("POST", TP2, payloads(one))).status == 200
        assert len(logs.stored) == stored

    settings = {} if dedup is None else {"dedup": dedup}
    serve(tmp_path, SNOWPLOW, use, PropertySettings(1, 1, id="open", **settings))


def test_the_same_id_in_two_properties_is_two_events(tmp_path: Path) -> None:
    async def use(logs: Logs, send: Send) -> None:
        calls = [{**TRACK, "messageId": "m-1", "writeKey": key} for key in ("open", "truncated", "open")]
        await send(*SENT, batch(*calls))
        assert [record["prop_id"] for record in logs.stored] == [1, 3]
        check_accounts(logs, 1, received=2)

    serve(tmp_path, SEGMENT, use, OPEN, TRUNCATED)


# Redrive


def test_a_dead_letter_of_a_dialect_is_redriven_by_the_rules_for_dialects(tmp_path: Path) -> None:
    async def use(logs: Logs, send: Send) -> None:
        deep: Any = {}
        for _ in range(70):
            deep = {"a": deep}
        call = {**TRACK, "userId": "u", "messageId": "m-1", "properties": deep}
        assert (await send(*SENT, batch(call, {"type": "x"}, writeKey="open"))).status == 200
        assert (logs.stored, len(logs.dead)) == ([], 1)

    serve(tmp_path, SEGMENT, use, OPEN)
    text = '[log]\ndir = "log"\n[dead_letters]\ndir = "dead"\n[limits]\nnesting = 100\n'
    (tmp_path / "collector.toml").write_text(text + '[[property]]\nportal_id = 1\nprop_id = 1\nid = "open"\n')
    report = redrive(load_settings(str(tmp_path / "collector.toml")), LetterSelection(), lambda _: None)
    assert (report.redriven, report.refused.total()) == (1, 1)
    (record,) = read_log(tmp_path / "log")
    assert (record["dialect"], record["event_id"], record["event"]["uid"]) == ("segment", "m-1", "u")


def test_a_head_request_gets_the_response_and_stores_nothing(tmp_path: Path) -> None:
    async def use(logs: Logs, send: Send) -> None:
        got = await send("HEAD", "/i?e=pv&aid=open")
        assert got.status == 200
        assert not {b"x-event-id", b"x-event-ack"} & set(dict(got.headers))
        assert (await send("HEAD", "/i?e=?&aid=open")).status == 200
        assert (logs.stored, logs.dead) == ([], [])
        check_accounts(logs, 1, received=0)

    serve(tmp_path, SNOWPLOW, use, OPEN)


@pytest.mark.parametrize("path", ["/v1/track", "/v1/track/", "/v1/%74rack", "/api/s/track"])
def test_a_path_with_escapes_or_a_slash_at_the_end_is_the_same_path(tmp_path: Path, path: str) -> None:
    async def use(logs: Logs, send: Send) -> None:
        assert (await send("POST", path, b'{"event":"E","writeKey":"open"}')).status == 200
        assert [record["event"] for record in logs.stored] == [{"ea": "E", "ec": "track"}]

    serve(tmp_path, SEGMENT, use, OPEN)


def test_cloudevents_have_the_members_of_a_record_of_a_dialect(tmp_path: Path) -> None:
    async def use(logs: Logs, send: Send) -> None:
        event = b'{"specversion":"1.0","id":"1","source":"s","type":"t"}'
        got = await send("POST", "/event?portal_id=1&prop_id=1", event, content_type="application/cloudevents+json")
        assert (got.status, json.loads(got.body)["accepted"]) == (200, 1)
        assert (logs.stored[0]["dialect"], logs.stored[0]["event_id"]) == ("cloudevents", "s 1")

    serve(tmp_path, CLOUD, use, OPEN)


def test_properties_of_nothing_but_spaces_are_none(tmp_path: Path) -> None:
    async def use(logs: Logs, send: Send) -> None:
        await send("POST", "/v1/t", b'{"event":"E","properties":{ },"writeKey":"open"}')
        assert logs.stored[0]["event"] == {"ea": "E", "ec": "track"}

    serve(tmp_path, SEGMENT, use, OPEN)
