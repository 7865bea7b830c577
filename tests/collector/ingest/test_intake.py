"""From decoded events to records: sessions within a batch, HEAD, and batches refused whole."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import astuple, replace

from collector.errors import BadEvent, BadTarget, NotAClick, Refusal, Rejected, TooLarge
from collector.http.response import Response
from collector.ingest.options import RequestOptions, ResponseType
from collector.ingest.policy.properties import Property
from collector.ingest.query import parse_pairs
from collector.ingest.record import RequestContext
from collector.ingest.request import EventRequest
from collector.ingest.session import Session
from collector.settings import Limits
from tests.collector.live_intake import NOW_MS, SESSIONS, Logs, live_intake, pairs_of, request_of
from tests.collector.properties import prepared

NOW = NOW_MS // 1000
PORTAL = 33167
PROPERTY = prepared(PORTAL, 2, required=("ea",))


def _request(
    prop: Property = PROPERTY,
    *,
    face: ResponseType = ResponseType.JSON,
    fault: Refusal | None = None,
    user_agent: str | None = None,
    **members: Any,
) -> EventRequest:
    """A plain request to a property, except for the arguments of a test."""
    context = RequestContext(prop, NOW_MS, "203.0.113.7", user_agent, None, is_s2s=False, warnings=[])
    where = b"https://shop.example.com/" if face is ResponseType.REDIRECT else None
    options = RequestOptions(prop, face, is_s2s=False, location=where, fault=fault)
    return request_of(options, context, **members)


def _run(folder: Path, use: Callable[[Logs], Awaitable[None]], limits: Limits | None = None) -> None:
    async def run() -> None:
        async with live_intake(folder, limits) as logs:
            await use(logs)

    asyncio.run(run())


def _batch(*events: object) -> bytes:
    return json.dumps(events).encode()


def _event(uid: str | None = None, **members: object) -> dict[str, object]:
    return {"ea": "view", **({} if uid is None else {"uid": uid}), **members}


def _known(uid: str, hits: int = 4) -> Session:
    """The session of a visitor whose last hit was a minute ago."""
    au_id = SESSIONS.au_id(PORTAL, uid)
    return Session(au_id, NOW - 900, au_id, NOW - 900, 77, NOW - 600, hits, NOW - 60, False, False, False)


def _token(session: Session) -> bytes:
    return SESSIONS.token(PORTAL, session)


def _hits(records: list[dict[str, Any]]) -> list[tuple[int, bool]]:
    return [(record["session"]["hits"], record["session"]["new"]) for record in records]


def _cookie(answer: Response) -> Session | None:
    token = dict(pairs_of(answer.headers))[b"set-cookie"].partition(b"=")[2].partition(b";")[0]
    return SESSIONS.read(PORTAL, token)


# One event


def test_one_event_is_stored_as_sent_and_its_id_is_in_the_response(tmp_path: Path) -> None:
    async def use(logs: Logs) -> None:
        body = b'{"ea":"view","n":1.50}'
        status, headers, _ = astuple(await logs.take(_request(), body, is_ndjson=False))
        (record,) = logs.stored
        assert (status, dict(pairs_of(headers))[b"x-event-id"].decode()) == (200, record["id"])
        assert (record["event"], record["received_at"], record["ip"]) == (
            {"ea": "view", "n": 1.5},
            NOW_MS,
            "203.0.113.7",
        )
        assert logs.dead == []

    _run(tmp_path, use)


def test_one_event_continues_the_session_of_its_token(tmp_path: Path) -> None:
    async def use(logs: Logs) -> None:
        request = _request(token=_token(_known("u")), with_cookie=True)
        answer = await logs.take(request, json.dumps(_event("u")).encode(), is_ndjson=False)
        assert _hits(logs.stored) == [(5, False)]
        assert logs.stored[0]["session"]["id"] == "77"
        assert _cookie(answer) == replace(_known("u", 5), last_hit=NOW)

    _run(tmp_path, use)


@pytest.mark.parametrize(
    ("event", "known", "visitor"),
    [
        ({"uid": "u", "aid": "a"}, "k", "u"),
        ({"uid": 7, "aid": "a"}, "k", "7"),
        ({"aid": "a"}, "k", "a"),
        ({"aid": 7}, None, "7"),
        ({}, "k", "k"),
    ],
)
def test_a_visitor_is_identified_by_user_else_by_device_else_by_token(
    tmp_path: Path, event: dict[str, object], known: str | None, visitor: str
) -> None:
    async def use(logs: Logs) -> None:
        request = _request(token=_token(_known(known)) if known else b"")
        await logs.take(request, json.dumps({"ea": "view", **event}).encode(), is_ndjson=False)
        assert logs.stored[0]["au_id"] == str(SESSIONS.au_id(PORTAL, visitor))

    _run(tmp_path, use)


def test_unknown_visitors_are_different_visitors(tmp_path: Path) -> None:
    async def use(logs: Logs) -> None:
        for _ in range(5):
            await logs.take(_request(), b'{"ea":"view"}', is_ndjson=False)
        assert len({record["au_id"] for record in logs.stored}) == 5

    _run(tmp_path, use)


async def _refused(logs: Logs, request: EventRequest, body: bytes, *, is_ndjson: bool = False) -> Rejected:
    with pytest.raises(Rejected) as caught:
        await logs.take(request, body, is_ndjson=is_ndjson)
    return caught.value


@pytest.mark.parametrize(
    ("body", "is_ndjson", "request_", "kind"),
    [
        (b'{"ec":"x"}', False, _request(), BadEvent),
        (b"{", False, _request(), BadEvent),
        (b"[", False, _request(), BadEvent),
        (b"[]", False, _request(), BadEvent),
        (b" 7", False, _request(), BadEvent),
        (b"\n\n", True, _request(), BadEvent),
        (b'{"ea":"view"}', False, _request(face=ResponseType.REDIRECT), NotAClick),
        (b'[{"ea":"click"}]', False, _request(face=ResponseType.REDIRECT), NotAClick),
        (b'{"ea":"view"}', False, _request(fault=BadTarget("x").refusal), BadTarget),
    ],
)
def test_an_event_refused_for_its_content_is_a_dead_letter_and_not_a_record(
    tmp_path: Path, body: bytes, is_ndjson: bool, request_: EventRequest, kind: type[Rejected]
) -> None:
    async def use(logs: Logs) -> None:
        error = await _refused(logs, request_, body, is_ndjson=is_ndjson)
        assert error.refusal.code == kind.code
        (letter,) = logs.letters
        assert (letter.body, letter.record.reason) == (body.strip() or body, error.refusal.message)
        assert logs.stored == []

    _run(tmp_path, use)


def test_an_event_over_its_limit_is_refused(tmp_path: Path) -> None:
    async def use(logs: Logs) -> None:
        exact = b'{"ea":"view","x":"%b"}' % (b"x" * (2048 - 20))
        await logs.take(_request(), exact, is_ndjson=False)
        assert type(await _refused(logs, _request(), exact + b" ")) is TooLarge
        assert len(logs.stored) == 1

    _run(tmp_path, use, Limits(event_bytes=2048))


def test_a_query_without_an_event_is_refused_and_leaves_no_dead_letter(tmp_path: Path) -> None:
    async def use(logs: Logs) -> None:
        with pytest.raises(Rejected, match="no event"):
            await logs.take(_request(pairs=parse_pairs(b"portal_id=1")), b"")
        assert logs.dead == []

    _run(tmp_path, use)


# Batches


@pytest.mark.parametrize("is_ndjson", [False, True])
def test_a_batch_is_stored_in_order_with_consecutive_ids(tmp_path: Path, is_ndjson: bool) -> None:
    events = [_event(f"u-{number}", n=number) for number in range(20)]
    body = b"\r\n".join(json.dumps(event).encode() for event in events) if is_ndjson else _batch(*events)

    async def use(logs: Logs) -> None:
        answer = await logs.take(_request(), body, is_ndjson=is_ndjson)
        stored = logs.stored
        assert [record["event"] for record in stored] == events
        found = json.loads(answer.body)
        assert len(found.pop("an_session")) == 80
        assert found == {
            "type": "batch",
            "accepted": 20,
            "rejected": [],
            "duplicates": [],
            "ids": [record["id"] for record in stored],
        }
        assert dict(pairs_of(answer.headers))[b"x-event-ack"] == b"fsync"
        assert b"x-event-id" not in dict(pairs_of(answer.headers))

    _run(tmp_path, use)


def test_within_a_batch_every_visitor_continues_its_own_session(tmp_path: Path) -> None:
    async def use(logs: Logs) -> None:
        body = _batch(_event("a"), _event("b"), _event("a"), _event("b"), _event("a"))
        answer = await logs.take(_request(with_cookie=True), body, is_ndjson=False)
        assert _hits(logs.stored) == [(1, True), (1, True), (2, False), (2, False), (3, False)]
        last = _cookie(answer)
        assert last
        assert (last.au_id, last.hits) == (SESSIONS.au_id(PORTAL, "a"), 3)

    _run(tmp_path, use)


def test_a_batch_continues_the_session_of_its_token(tmp_path: Path) -> None:
    async def use(logs: Logs) -> None:
        request = _request(token=_token(_known("a")), with_cookie=True)
        answer = await logs.take(request, _batch(_event("a"), _event(), _event("a")), is_ndjson=False)
        assert _hits(logs.stored) == [(5, False), (6, False), (7, False)]
        assert _cookie(answer) == replace(_known("a", 7), last_hit=NOW)

    _run(tmp_path, use)


def test_one_bad_event_becomes_a_dead_letter_and_the_others_are_stored(tmp_path: Path) -> None:
    async def use(logs: Logs) -> None:
        body = b'[{"ea":"a"},7,{"ea":"b"},{"ec":"x"},{"ea":"c"}]'
        status, _, answer = astuple(await logs.take(_request(), body, is_ndjson=False))
        assert status == 200
        assert [verdict["index"] for verdict in json.loads(answer)["rejected"]] == [1, 3]
        assert json.loads(answer)["ids"] == [record["id"] for record in logs.stored]
        assert [record["event"]["ea"] for record in logs.stored] == ["a", "b", "c"]
        (letter,) = logs.dead
        assert letter["raw"] == [7, {"ec": "x"}]
        assert [reason["indexes"] for reason in letter["refusals"]] == [[1], [3]]

    _run(tmp_path, use)


def test_a_line_that_is_not_utf8_does_not_affect_the_others(tmp_path: Path) -> None:
    async def use(logs: Logs) -> None:
        body = b'{"ea":"a"}\n{"ea":"\xff"}\n{"ea":"b"\n{"ea":"c"}'
        answer = await logs.take(_request(), body, is_ndjson=True)
        assert [verdict["index"] for verdict in json.loads(answer.body)["rejected"]] == [1, 2]
        assert [record["event"]["ea"] for record in logs.stored] == ["a", "c"]

    _run(tmp_path, use)


def test_a_batch_without_a_valid_event_gets_400_and_becomes_dead_letters(tmp_path: Path) -> None:
    async def use(logs: Logs) -> None:
        request = _request(with_cookie=True)
        status, headers, _ = astuple(await logs.take(request, b"[{},{},7]", is_ndjson=False))
        assert status == 400
        assert not {b"x-event-ack", b"set-cookie"} & set(dict(pairs_of(headers)))
        assert (logs.stored, [letter["raw"] for letter in logs.dead]) == ([], [[{}, {}, 7]])

    _run(tmp_path, use)


def test_a_batch_with_a_wrong_query_is_refused_whole_and_every_event_is_a_dead_letter(tmp_path: Path) -> None:
    async def use(logs: Logs) -> None:
        request = _request(fault=BadTarget("the query is wrong").refusal)
        error = await _refused(logs, request, b'[{"ea":"a"},{"ea":"b"}]')
        assert error.refusal.code == BadTarget.code
        (letter,) = logs.dead
        assert letter["raw"] == [{"ea": "a"}, {"ea": "b"}]
        assert [reason["indexes"] for reason in letter["refusals"]] == [[0, 1]]

    _run(tmp_path, use)


def test_a_batch_of_too_many_events_is_refused_whole(tmp_path: Path) -> None:
    async def use(logs: Logs) -> None:
        await logs.take(_request(), _batch(*[_event()] * 3), is_ndjson=False)
        assert type(await _refused(logs, _request(), _batch(*[_event()] * 4))) is TooLarge
        assert len(logs.stored) == 3

    _run(tmp_path, use, Limits(batch_events=3))


def test_a_batch_too_large_for_one_append_gets_413_and_stores_nothing(tmp_path: Path) -> None:
    async def use(logs: Logs) -> None:
        request = _request()
        error = await _refused(logs, request, _batch(*[_event(x="x" * 8400)] * 1000))
        assert type(error) is TooLarge
        assert "smaller" in error.refusal.message
        await logs.take(request, _batch(_event(), _event()), is_ndjson=False)
        assert [record["id"].partition("-")[2] for record in logs.stored] == ["1", "2"]

    _run(tmp_path, use)


def test_every_event_of_a_batch_counts_against_the_rate(tmp_path: Path) -> None:
    prop = prepared(required=("ea",), events_per_second=5)

    async def use(logs: Logs) -> None:
        assert prop.rate
        await logs.take(_request(prop), _batch(*[_event()] * 4), is_ndjson=False)
        await logs.take(_request(prop), b'{"ea":"view"}', is_ndjson=False)
        assert prop.rate.wait_seconds(0) > 0

    _run(tmp_path, use)


# HEAD


@pytest.mark.parametrize("body", [b'{"ea":"view"}', b'[{"ea":"view"},{}]'])
def test_head_gets_a_response_and_stores_nothing(tmp_path: Path, body: bytes) -> None:
    async def use(logs: Logs) -> None:
        request = _request(is_stored=False, with_cookie=True)
        status, headers, _ = astuple(await logs.take(request, body, is_ndjson=False))
        assert status == 200
        assert not {b"x-event-ack", b"x-event-id", b"set-cookie"} & set(dict(pairs_of(headers)))
        assert (logs.stored, logs.dead) == ([], [])

    _run(tmp_path, use)


@pytest.mark.parametrize("body", [b"{", b'{"ec":"x"}', b"[", b"[{}]"])
def test_a_refused_head_leaves_no_dead_letter(tmp_path: Path, body: bytes) -> None:
    async def use(logs: Logs) -> None:
        with contextlib.suppress(Rejected):
            answer = await logs.take(_request(is_stored=False), body, is_ndjson=False)
            assert answer.status == 400
        assert (logs.stored, logs.dead) == ([], [])

    _run(tmp_path, use)
