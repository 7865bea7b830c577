"""A property whose responses wait for a sink: after a confirmation, a refusal, and a timeout."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from collector.acknowledgements import Acknowledgements
from collector.settings import PropertySettings
from tests.collector.live_intake import Got, Logs, ask, endpoint, live_intake

EVENT = b'{"ea":"click"}'
BATCH = b'[{"ea":"click"},{"ea":"view"}]'
Play = Callable[[Logs, Acknowledgements], Awaitable[None]]
QUERY = "portal_id=1&prop_id=2&resp_type="


def _ask(
    folder: Path, query: str, body: bytes | None, play: Play, ack_seconds: float = 60.0, dedup: str | None = None
) -> tuple[Got, Logs]:
    """The response to one request while `play` acts as the sink."""
    prop = PropertySettings(
        portal_id=1,
        prop_id=2,
        required=("ea",),
        ack="shipped",
        ack_sink="kafka",
        ack_seconds=ack_seconds,
        dedup=dedup,
        redirect_hosts=("shop.example.com",),
    )

    async def run() -> tuple[Got, Logs]:
        kafka = Acknowledgements()
        async with live_intake(folder, confirmations={"kafka": kafka}) as logs:
            asked = asyncio.create_task(ask(endpoint(logs, prop), "GET" if body is None else "POST", query, body))
            await play(logs, kafka)
            return await asked, logs

    return asyncio.run(run())


async def _stored(logs: Logs, events: int) -> None:
    while logs.committer.durable.sequence <= events:
        await asyncio.sleep(0.001)
    for _ in range(20):
        await asyncio.sleep(0)


async def _ships(logs: Logs, sink: Acknowledgements) -> None:
    await _stored(logs, 1)
    sink.move(10)


async def _sleeps(logs: Logs, sink: Acknowledgements) -> None:
    await _stored(logs, 1)
    sink.move(1)


async def _refuses(logs: Logs, sink: Acknowledgements) -> None:
    await _stored(logs, 1)
    sink.refuse(1)
    sink.move(10)


async def _is_ahead(logs: Logs, sink: Acknowledgements) -> None:
    sink.move(10)


@pytest.mark.parametrize("play", [_ships, _is_ahead])
@pytest.mark.parametrize(("face", "body"), [("json", EVENT), ("json", BATCH), ("pixel", EVENT), ("javascript", EVENT)])
def test_the_response_to_a_confirmed_event_says_shipped(tmp_path: Path, face: str, body: bytes, play: Play) -> None:
    answer, logs = _ask(tmp_path, QUERY + face, body, play)
    assert (answer.status, dict(answer.headers)[b"x-event-ack"]) == (200, b"shipped")
    assert len(logs.stored) == len(json.loads(body)) if body is BATCH else 1


@pytest.mark.parametrize(("play", "patience"), [(_sleeps, 0.01), (_refuses, 60.0)])
@pytest.mark.parametrize("body", [EVENT, BATCH])
def test_after_ack_seconds_or_a_refusal_of_the_sink_the_response_is_503_and_the_event_in_the_log(
    tmp_path: Path, body: bytes, play: Play, patience: float
) -> None:
    answer, logs = _ask(tmp_path, QUERY + "json", body, play, ack_seconds=patience)
    headers = dict(answer.headers)
    assert (answer.status, headers[b"x-event-ack"]) == (503, b"fsync")
    assert b"retry-after" not in headers, "sending it again stores it twice"
    assert "it may still be delivered" in json.loads(answer.body)["message"]
    ids = [record["id"].encode() for record in logs.stored]
    assert ids
    if body is EVENT:
        assert ids == [headers[b"x-event-id"]]


def test_a_pixel_that_is_not_confirmed_stays_a_gif(tmp_path: Path) -> None:
    answer, _ = _ask(tmp_path, QUERY + "pixel&ea=view", None, _sleeps, ack_seconds=0.01)
    assert (answer.status, answer.body[:6]) == (503, b"GIF89a")


def test_an_unconfirmed_click_is_redirected_with_the_ack_of_its_event(tmp_path: Path) -> None:
    query = QUERY + "redirect&redirect_url=https://shop.example.com/&ea=click"
    answer, logs = _ask(tmp_path, query, None, _sleeps, ack_seconds=0.01)
    assert (answer.status, dict(answer.headers)[b"x-event-ack"]) == (302, b"fsync")
    assert len(logs.stored) == 1


def test_a_response_to_head_waits_for_no_sink(tmp_path: Path) -> None:
    async def run() -> Got:
        prop = PropertySettings(1, 2, required=("ea",), ack="shipped", ack_sink="kafka")
        async with live_intake(tmp_path, confirmations={"kafka": Acknowledgements()}) as logs:
            return await ask(endpoint(logs, prop), "HEAD", QUERY + "json&ea=view")

    assert asyncio.run(run()).status == 200


def test_a_refused_event_that_was_sent_with_an_id_is_named_too(tmp_path: Path) -> None:
    body = b'{"ea":"click","event_id":"e-1"}'
    answer, logs = _ask(tmp_path, QUERY + "json", body, _refuses, dedup="1h")
    assert answer.status == 503
    assert [dict(answer.headers)[b"x-event-id"]] == [record["id"].encode() for record in logs.stored]


def test_no_refusal_is_forgotten_before_its_request_is_told() -> None:
    async def run() -> list[bool]:
        sink = Acknowledgements()
        for sequence in range(10_500):  # of events that nobody waits for any more
            sink.refuse(sequence)
            sink.move(sequence + 1)
        waiting = [asyncio.ensure_future(sink.wait(n, n)) for n in (10_500, 21_000, 21_001)]
        await asyncio.sleep(0)
        for sequence in range(10_500, 21_001):
            sink.refuse(sequence)
        sink.move(21_002)
        return await asyncio.gather(*waiting)

    assert asyncio.run(run()) == [False, False, True]


def test_a_refusal_is_remembered_while_another_event_of_its_batch_is_on_its_way() -> None:
    async def run() -> tuple[bool, int]:
        sink = Acknowledgements()
        waiting = asyncio.ensure_future(sink.wait(0, 99))
        await asyncio.sleep(0)
        sink.refuse(0)
        sink.move(50)
        for sequence in range(100, 30_000):
            sink.refuse(sequence)
        sink.move(30_000)
        sink.move(30_001)
        return await waiting, len(sink._refused)

    assert asyncio.run(run()) == (False, 10_000)


def test_waiting_requests_get_the_result_of_their_own_events_and_leave_nothing() -> None:
    async def run() -> list[bool | BaseException]:
        sink = Acknowledgements()
        waiting = [asyncio.ensure_future(sink.wait(n, n)) for n in (3, 1, 2, 9)]
        await asyncio.sleep(0)
        sink.refuse(2)
        sink.move(4)
        await asyncio.sleep(0)
        waiting[3].cancel()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert not sink._waiting
        return [each for each in found if isinstance(each, bool)]

    assert asyncio.run(run()) == [True, True, False]
