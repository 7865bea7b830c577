"""The accounts of events: whatever becomes of a request, received = stored + rejected + shed."""

import asyncio
import errno
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from collector.errors import Forbidden
from collector.http.response import Pending
from collector.ingest.accounts.accounts import Accounts
from collector.ingest.accounts.settling import unsettled_events
from collector.ingest.policy.properties import Registry
from collector.ingest.request import EventRequest
from collector.ops.counters import CounterBlock, Key
from collector.settings import Limits, PropertySettings
from tests.collector.live_intake import Logs, ask, endpoint, head_for, live_intake
from tests.collector.live_log import live_log
from tests.wal.faulty_files import FaultyFiles

PAIR = "portal_id=1&prop_id=2&resp_type=json"
OPEN = PropertySettings(1, 2, required=("ea",), redirect_hosts=("shop.example.com",))
GOOD = b'{"ea":"view"}'
BAD = b'{"ea":1}'


def _counted(counters: CounterBlock) -> dict[Key, int]:
    """The events counted, by what became of them; and the requests for unknown properties."""
    found: dict[Key, int] = {}
    for (name, *labels), value in counters.read().items():
        if value and name.startswith("tracklog_events_"):
            found[name.split("_")[2], *labels] = value
        elif value and name == "tracklog_unknown_property_total":
            found["unknown",] = value
    return found


def _accounts_of(
    folder: Path,
    use: Callable[[Logs], Awaitable[None]],
    files: FaultyFiles | None = None,
) -> dict[Key, int]:
    async def run() -> dict[Key, int]:
        async with live_intake(folder, files=files) as logs:
            await use(logs)
            assert set(unsettled_events(logs.counters.read()).values()) <= {0}, "the accounts balance"
            return _counted(logs.counters)

    return asyncio.run(run())


def _batch(*events: bytes) -> bytes:
    return b"[%b]" % b",".join(events)


@pytest.mark.parametrize(
    ("method", "query", "body", "headers", "counted"),
    [
        ("POST", PAIR, GOOD, {}, {"stored": 1}),
        ("GET", PAIR + "&ea=view", None, {}, {"stored": 1}),
        ("POST", PAIR, b"ea=view", {"content_type": "application/x-www-form-urlencoded"}, {"stored": 1}),
        ("POST", PAIR, _batch(GOOD, GOOD, GOOD), {}, {"stored": 3}),
        ("POST", PAIR, GOOD + b"\n" + GOOD, {"content_type": "application/x-ndjson"}, {"stored": 2}),
        ("POST", PAIR, _batch(GOOD, BAD, GOOD), {}, {"stored": 2, "invalid_event": 1}),
        ("POST", PAIR, _batch(BAD, BAD), {}, {"invalid_event": 2}),
        ("POST", PAIR, BAD, {}, {"invalid_event": 1}),
        ("POST", PAIR, b'{"ea":', {}, {"invalid_event": 1}),
        ("POST", PAIR, b"[1,2", {}, {"invalid_event": 1}),
        ("POST", PAIR, b'{"ea":"%b"}' % (b"x" * 70_000), {}, {"too_large": 1}),
        ("POST", PAIR, b"no gzip", {"content_encoding": "gzip"}, {"invalid_event": 1}),
        ("POST", PAIR.replace("json", "redirect"), GOOD, {}, {"invalid_redirect": 1}),
        ("POST", PAIR.replace("json", "redirect"), _batch(GOOD, GOOD), {}, {"not_a_click": 1}),
        ("POST", PAIR + "&is_s2s=maybe", _batch(GOOD, GOOD), {}, {"invalid_query": 2}),
        ("PUT", PAIR, GOOD, {}, {"method_not_allowed": 1}),
        ("HEAD", PAIR + "&ea=view", None, {}, {}),
        ("HEAD", PAIR + "&ea=view", BAD, {}, {}),
        ("HEAD", PAIR + "&x=" + "x" * 30_000, None, {}, {}),
        ("OPTIONS", PAIR, None, {}, {}),
    ],
)
def test_each_event_of_a_request_has_one_fate(
    tmp_path: Path, method: str, query: str, body: bytes | None, headers: dict[str, str], counted: dict[str, int]
) -> None:
    async def use(logs: Logs) -> None:
        await ask(endpoint(logs, OPEN), method, query, body, **headers)

    fates: dict[Key, int] = {("stored", "1", "2"): counted["stored"]} if "stored" in counted else {}
    fates |= {("rejected", "1", "2", code): number for code, number in counted.items() if code != "stored"}
    received = {("received", "1", "2"): sum(counted.values())} if counted else {}
    assert _accounts_of(tmp_path, use) == received | fates


def test_an_unknown_property_counts_alone_and_a_request_without_one_has_empty_labels(tmp_path: Path) -> None:
    async def use(logs: Logs) -> None:
        served = endpoint(logs, OPEN)
        for prop_id in range(10, 1010):
            await ask(served, "POST", f"portal_id=1&prop_id={prop_id}&resp_type=json", GOOD)
        await ask(served, "POST", "portal_id=1&resp_type=json", GOOD)

    assert _accounts_of(tmp_path, use) == {
        ("unknown",): 1000,
        ("received", "", ""): 1,
        ("rejected", "", "", "invalid_query"): 1,
    }


def test_a_rate_refuses_all_events_of_a_batch(tmp_path: Path) -> None:
    async def use(logs: Logs) -> None:
        served = endpoint(logs, PropertySettings(1, 2, required=("ea",), events_per_second=2))
        await ask(served, "POST", PAIR, _batch(GOOD, GOOD, GOOD))
        await ask(served, "POST", PAIR, _batch(GOOD, GOOD))

    assert _accounts_of(tmp_path, use) == {
        ("received", "1", "2"): 5,
        ("rejected", "1", "2", "rate_limited"): 3,
        ("stored", "1", "2"): 2,
    }


def test_events_whose_block_fails_are_shed_and_bad_ones_among_them_are_rejected(tmp_path: Path) -> None:
    files = FaultyFiles()

    async def use(logs: Logs) -> None:
        served = endpoint(logs, OPEN)
        files.fail("write", errno.ENOSPC, times=2)
        assert (await ask(served, "POST", PAIR, GOOD)).status == 503
        assert (await ask(served, "POST", PAIR, _batch(GOOD, BAD, GOOD))).status == 503
        assert (await ask(served, "POST", PAIR, GOOD)).status == 200

    assert _accounts_of(tmp_path, use, files) == {
        ("received", "1", "2"): 5,
        ("stored", "1", "2"): 1,
        ("shed", "1", "2", "unavailable"): 3,
        ("rejected", "1", "2", "invalid_event"): 1,
    }


def test_an_event_is_stored_and_a_long_body_settled_although_its_client_has_left(tmp_path: Path) -> None:
    async def use(logs: Logs) -> None:
        served = endpoint(logs, OPEN)
        for body in (GOOD, BAD, _batch(GOOD, BAD), _batch(*[b'{"ea":"%b"}' % (b"x" * 1000)] * 900)):
            request = served.admit(head_for("POST", PAIR, body))
            assert isinstance(request, EventRequest)
            request.body = body
            taken = served.take(request)
            assert isinstance(taken, Pending)
            request.is_gone = True
            await asyncio.wait([taken.until])
        await asyncio.sleep(0)

    counted = _accounts_of(tmp_path, use)
    assert counted == {
        ("received", "1", "2"): 5,
        ("stored", "1", "2"): 2,
        ("rejected", "1", "2", "invalid_event"): 2,
        ("rejected", "1", "2", "client_gone"): 1,
    }


def test_properties_beyond_a_thousand_share_their_labels_also_those_of_a_successor(tmp_path: Path) -> None:
    registry = Registry(PropertySettings(1, prop_id) for prop_id in range(1, 1104))
    block = CounterBlock.create()

    async def run() -> None:
        async with live_log(tmp_path / "00") as committer:
            for prop_ids in (range(1, 1001), range(2, 1104)):
                accounts = Accounts(block, committer)
                for prop_id in prop_ids:
                    accounts.refuse_unread(registry.get(1, prop_id), Forbidden("no key").refusal)

    asyncio.run(run())
    counted = _counted(block)
    assert counted["rejected", "1", "1", "forbidden"] == 1
    assert counted["rejected", "1", "1000", "forbidden"] == 2
    assert counted["rejected", "other", "other", "forbidden"] == 103
    assert sum(1 for key in counted if key[0] == "received") == 1001


def test_dead_letters_are_counted_by_code(tmp_path: Path) -> None:
    async def run() -> None:
        async with live_intake(tmp_path, Limits()) as logs:
            served = endpoint(logs, OPEN)
            for body in (BAD, BAD, _batch(GOOD, BAD, BAD), b'{"ea":"%b"}' % (b"x" * 70_000)):
                await ask(served, "POST", PAIR, body)
            counted = {key[1]: value for key, value in logs.counters.read().items() if "dead_letters" in key[0]}
            codes = [letter["code"] for letter in logs.dead]
            assert counted == {code: codes.count(code) for code in codes}

    asyncio.run(run())
