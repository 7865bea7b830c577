"""An event that is sent again under its id is stored once, and its client gets a 200 for the first one."""

import asyncio
import json
import multiprocessing
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from collector.dedup.index import open_index
from collector.dedup.layout import hash_of, key
from collector.settings import PropertySettings
from collector.settings.dedup import DedupSettings
from tests.collector.live_intake import NOW_MS, Got, Logs, ask, endpoint, live_intake
from wal.errors import LogFull

Ask = Callable[..., Awaitable[Got]]
PAIR = "portal_id=33167&prop_id=2&resp_type=json"
EVENT = {"ea": "view", "ec": "product", "uid": "u-1", "event_id": "e-1"}


def _serve(
    folder: Path, use: Callable[[Logs, Ask], Awaitable[None]], *properties: PropertySettings, **settings: Any
) -> None:
    settings = {"required": ("ea",), "dedup": "1h"} | settings

    async def main() -> None:
        async with live_intake(folder) as logs:
            served = endpoint(logs, PropertySettings(33167, 2, **settings), *properties)
            await use(logs, partial(ask, served))

    asyncio.run(main())


async def _post(send: Ask, event: object, query: str = PAIR, **headers: str) -> Got:
    return await send("POST", query, json.dumps(event).encode(), content_type="application/json", **headers)


def _ids(logs: Logs) -> list[str | None]:
    return [record.get("event_id") for record in logs.stored]


def test_an_event_that_is_sent_again_is_stored_once_and_answered_with_the_first_ones_id(tmp_path: Path) -> None:
    async def use(logs: Logs, send: Ask) -> None:
        first, second = await _post(send, EVENT), await _post(send, EVENT)
        assert (first.status, second.status) == (200, 200)
        sent, again = dict(first.headers), dict(second.headers)
        assert again.pop(b"x-event-duplicate") == b"true"
        assert again == sent
        assert [key for key, _ in second.headers].count(b"x-event-id") == 1
        assert json.loads(second.body).keys() == json.loads(first.body).keys()
        assert _ids(logs) == ["e-1"]
        assert logs.counters.read()["tracklog_events_duplicate_total", "33167", "2"] == 1

    _serve(tmp_path, use)


def test_without_dedup_and_without_an_id_every_event_is_stored(tmp_path: Path) -> None:
    async def use(logs: Logs, send: Ask) -> None:
        for _ in range(2):
            assert b"x-event-duplicate" not in dict((await _post(send, EVENT)).headers)
        assert _ids(logs) == ["e-1", "e-1"]

    _serve(tmp_path / "off", use, dedup=None)

    async def use_without_id(logs: Logs, send: Ask) -> None:
        for _ in range(2):
            await _post(send, {"ea": "view"})
        assert _ids(logs) == [None, None]

    _serve(tmp_path / "without", use_without_id)


def test_an_id_is_that_of_one_property_alone(tmp_path: Path) -> None:
    async def use(logs: Logs, send: Ask) -> None:
        await _post(send, EVENT)
        await _post(send, EVENT, PAIR.replace("prop_id=2", "prop_id=3"))
        assert _ids(logs) == ["e-1", "e-1"]

    _serve(tmp_path, use, PropertySettings(33167, 3, required=("ea",), dedup="1h"))


@pytest.mark.parametrize("resp_type", ["javascript", "json", "pixel"])
def test_each_type_of_response_confirms_the_first_event(tmp_path: Path, resp_type: str) -> None:
    async def use(logs: Logs, send: Ask) -> None:
        query = f"{PAIR.replace('json', resp_type)}&ea=view&event_id=q-1"
        first, second = await send("GET", query), await send("GET", query)
        assert (second.status, dict(second.headers)[b"x-event-id"]) == (200, dict(first.headers)[b"x-event-id"])
        assert _ids(logs) == ["q-1"]

    _serve(tmp_path, use)


def test_two_at_the_same_time_are_one_and_both_wait_for_the_disk(tmp_path: Path) -> None:
    async def use(logs: Logs, send: Ask) -> None:
        found = await asyncio.gather(*[_post(send, EVENT) for _ in range(20)])
        assert {got.status for got in found} == {200}
        assert len({dict(got.headers)[b"x-event-id"] for got in found}) == 1
        assert sum(b"x-event-duplicate" in dict(got.headers) for got in found) == 19
        assert _ids(logs) == ["e-1"]

    _serve(tmp_path, use)


def test_in_a_batch_the_others_are_stored_and_the_duplicates_are_named(tmp_path: Path) -> None:
    async def use(logs: Logs, send: Ask) -> None:
        await _post(send, EVENT)
        batch = [
            {"ea": "a", "event_id": "b-1"},
            {"ec": "no ea"},
            EVENT,
            {"ea": "c", "event_id": "b-1"},
            {"ea": "d"},
        ]
        found = json.loads((await _post(send, batch)).body)
        assert (found["accepted"], found["duplicates"], len(found["rejected"])) == (2, [2, 3], 1)
        assert found["ids"] == [record["id"] for record in logs.stored][1:]
        assert [record["event"]["ea"] for record in logs.stored] == ["view", "a", "d"]
        again = await _post(send, batch[:1] + batch[2:4])
        assert (again.status, json.loads(again.body)["duplicates"]) == (200, [0, 1, 2])
        assert len(logs.stored) == 3
        accounts = {key[0]: value for key, value in logs.counters.read().items() if key[1:3] == ("33167", "2")}
        assert accounts["tracklog_events_received_total"] == 9
        assert accounts["tracklog_events_duplicate_total"] == 5
        assert accounts["tracklog_events_stored_total"] == 3

    _serve(tmp_path, use)


def _claim_as_another_worker(folder: Path, event_id: str) -> None:
    """Claim an id for an event that is on its way to the disk for ever."""
    index = open_index(DedupSettings(dir=str(folder / "dedup"), bytes=16 << 20))
    index.begin(b"0123456789abcdef", 1)
    with index.claims(NOW_MS) as claims:
        claims.claim_all([key(hash_of(33167, 2), event_id)], 1, [3_600_000])
    index.close()


def test_of_a_batch_that_is_answered_503_no_event_without_an_id_is_stored(tmp_path: Path) -> None:
    worker = multiprocessing.get_context("spawn").Process(target=_claim_as_another_worker, args=(tmp_path, "e-1"))
    (tmp_path / "dedup").mkdir()
    worker.start()
    worker.join()

    async def use(logs: Logs, send: Ask) -> None:
        batch = [EVENT, {"ea": "a"}, {"ea": "b", "event_id": "b-1"}]
        for _ in range(2):
            assert (await _post(send, batch)).status == 503
        assert logs.stored == []
        twice = await _post(send, [batch[2], {"ea": "c"}, batch[2]])
        assert (twice.status, json.loads(twice.body)["duplicates"]) == (200, [2])

    _serve(tmp_path, use)


def test_batches_with_events_without_an_id_may_come_at_the_same_time(tmp_path: Path) -> None:
    async def use(logs: Logs, send: Ask) -> None:
        found = await asyncio.gather(*[_post(send, [EVENT, {"ea": "a"}]) for _ in range(20)])
        assert {got.status for got in found} == {200}
        assert len(logs.stored) == 1 + 20

    _serve(tmp_path, use)


def test_the_key_of_a_request_is_an_id_too_in_a_batch_with_the_index(tmp_path: Path) -> None:
    async def use(logs: Logs, send: Ask) -> None:
        for _ in range(2):
            await _post(send, {"ea": "a"}, idempotency_key="k-1")
            await _post(send, [{"ea": "b"}, {"ea": "c"}, EVENT], idempotency_key="k-2")
        assert _ids(logs) == ["k-1", "k-2-0", "k-2-1", "e-1"]

    _serve(tmp_path, use)


def test_a_refused_event_and_a_head_leave_their_id_free(tmp_path: Path) -> None:
    async def use(logs: Logs, send: Ask) -> None:
        assert (await _post(send, {"event_id": "e-1"})).status == 400
        assert (await send("HEAD", f"{PAIR}&ea=view&event_id=e-1")).status == 200
        assert b"x-event-duplicate" not in dict((await _post(send, EVENT)).headers)
        assert _ids(logs) == ["e-1"]

    _serve(tmp_path, use)


def test_a_click_that_is_sent_again_goes_on(tmp_path: Path) -> None:
    async def use(logs: Logs, send: Ask) -> None:
        target = "redirect_url=https%3A%2F%2Fshop.example.com%2F"
        query = f"{PAIR.replace('json', 'redirect')}&ea=click&event_id=c-1&{target}"
        for _ in range(2):
            found = await send("GET", query)
            assert (found.status, dict(found.headers)[b"location"]) == (302, b"https://shop.example.com/")
        assert _ids(logs) == ["c-1"]

    _serve(tmp_path, use, redirect_hosts=("shop.example.com",))


def test_a_request_that_its_server_cancels_takes_no_other_with_it(tmp_path: Path) -> None:
    async def use(logs: Logs, send: Ask) -> None:
        first = asyncio.ensure_future(_post(send, EVENT | {"event_id": "gone"}))
        others = [asyncio.ensure_future(_post(send, EVENT | {"event_id": f"e-{at}"})) for at in range(3)]
        await asyncio.sleep(0)
        first.cancel()
        assert [(await each).status for each in others] == [200, 200, 200]
        assert sorted(map(str, _ids(logs))) == ["e-0", "e-1", "e-2", "gone"]

    _serve(tmp_path, use)


def test_events_that_can_not_be_appended_are_refused_and_their_ids_stay_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def use(logs: Logs, send: Ask) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(logs.committer, "append", _full)
            found = await asyncio.gather(*[_post(send, EVENT | {"event_id": f"e-{at}"}) for at in range(5)])
            assert {got.status for got in found} == {503}
        assert b"x-event-duplicate" not in dict((await _post(send, EVENT)).headers)
        assert _ids(logs) == ["e-1"]

    _serve(tmp_path, use)


def test_events_of_one_moment_are_let_in_at_the_rate_of_their_property_and_copies_are_free(tmp_path: Path) -> None:
    async def use(logs: Logs, send: Ask) -> None:
        found = await asyncio.gather(*[_post(send, EVENT | {"event_id": f"e-{at}"}) for at in range(20)])
        assert [got.status for got in found].count(200) == 5
        assert len(logs.stored) == 5

    async def repeat(logs: Logs, send: Ask) -> None:
        for _ in range(3):
            found = await asyncio.gather(*[_post(send, EVENT) for _ in range(4)])
            assert [got.status for got in found] == [200] * 4
        assert _ids(logs) == ["e-1"]

    _serve(tmp_path / "new", use, events_per_second=5)
    _serve(tmp_path / "copies", repeat, events_per_second=5)


def _full(lines: bytes, records: int = 1) -> None:
    raise LogFull(f"no room for {len(lines)} bytes of {records} events")
