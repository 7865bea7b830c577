"""The bytes sent by a request bound the bytes that it adds to the log and to the dead letters."""

import asyncio
import gzip
import json
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import pytest
import zstandard

from collector.dead_letters.content import raw_of
from collector.ingest.event import Event
from collector.ingest.options import RequestOptions, ResponseType
from collector.ingest.record import RequestContext, record_line, room_for_headers, shared_members_of
from collector.ingest.session import Session
from collector.long_work import LongWork
from collector.settings import Limits, PropertySettings
from tests.collector.live_intake import Got, Logs, ask, endpoint, live_intake, request_of
from tests.collector.properties import prepared
from tests.running import read_log

PAIR: Final = "portal_id=33167&prop_id=2&resp_type=json"
NDJSON: Final = {"content_type": "application/x-ndjson"}
FORM: Final = {"content_type": "application/x-www-form-urlencoded"}
AGENTS: Final = {
    "plain": "a" * 5000,
    "quotes": '"' * 5000,
    "latin": "\u00e9".encode().decode("latin-1") * 2500,
    "none": "",
}
MIB: Final = 1 << 20
BAD_IN_EVERY_FIELD: Final = b'{"ea":1,"ec":1,"sid":[],"aid":[],"uid":[],"context":1,"extra":1,"dims":1,"items":1,"v":"'


def _bad_in_many_ways(events: int, padding: int) -> bytes:
    """A batch in which no two events are refused for the same reason."""
    names = (b"ea", b"ec", b"aid", b"uid", b"context", b"extra", b"dims", b"items")
    wrong = (b"1.5", b"null", b"true")
    bad = [[b'"%b":%b' % (name, wrong[event // 3**at % 3]) for at, name in enumerate(names)] for event in range(events)]
    return b"[" + b",".join([b'{%b,"v":"%b"}' % (b",".join(each), b"v" * padding) for each in bad]) + b"]"


BODIES: Final[dict[str, tuple[bytes, dict[str, str]]]] = {
    "one event": (b'{"ea":"a"}', {}),
    "700 events": (b'[{"ea":"a"}' + b',{"ea":"a"}' * 699 + b"]", {}),
    "700 events with members that cannot be read": (
        b"[" + b",".join([b'{"ea":"a","event_id":"%b","et":0.5,"sent_at":0.5,"lost":0.5}' % (b"e" * 100)] * 700) + b"]",
        {},
    ),
    "700 bad events": (b"[1" + b",1" * 699 + b"]", {}),
    "events and bad ones": (b'[{"ea":"a"}' + b',{"ea":"a"},{"ea":1}' * 400 + b"]", {}),
    "bad events for many reasons": (b"\n".join(b'{"ea":"a"' + b" " * at + b"x" for at in range(900)), NDJSON),
    "bad in every field": (
        b"[" + b",".join([BAD_IN_EVERY_FIELD + b'"}'] * 9) + b"]",
        {},
    ),
    "events with line breaks": (b"[" + b",\n".join([b'{\n "ea":"a",\n "n": [\n1\n]\n}'] * 300) + b"]", {}),
    "no JSON": (b'{"ea":"\x01\x02"' * 300, {}),
    "binary": (bytes(range(256)) * 20, {}),
    "5 MiB without an event": (b'[[""' + b',""' * (5 * MIB // 3 - 3) + b"]]", {}),
    "5 MiB of control characters": (b"\x01" * 5 * MIB, {}),
    "5 MiB that is nearly JSON": (b"{" + b'"a":"b",' * (5 * MIB // 8 - 1) + b"}", {}),
    "large events, bad in every field": (
        b"[" + b",".join([BAD_IN_EVERY_FIELD + b"v" * (60 << 10) + b'"}'] * 80) + b"]",
        {},
    ),
    "events, bad in many ways": (_bad_in_many_ways(40, 0), {}),
    "large events, bad in many ways": (_bad_in_many_ways(80, 60 << 10), {}),
    "large events that are no JSON": (b"\n".join([b'{"ea":"\xff' + b"v" * (60 << 10)] * 80), NDJSON),
    "a form of 0xff": (b"ea=" + b"\xff" * 3000, FORM),
    "a form of control characters": (b"ea=a&x=" + b"%01" * 3000, FORM),
    "a form of short pairs": (b"&".join([b"ea=a", *[b"%x" % at for at in range(900)]]), FORM),
    "a form of repeated pairs": (b"ea=a" + b"&a" * 900 + b"&b" * 900, FORM),
    "a form of many repeated names": (b"ea=a&" + b"&".join([b"x%d" % (at // 2) for at in range(900)]), FORM),
}


def _events_in(body: bytes) -> int:
    """The most events that the body may count as."""
    try:
        value = json.loads(body)
    except ValueError:
        return body.count(b"\n") + 1
    return len(value) if isinstance(value, list) else 1


Send = Callable[..., Awaitable[Got]]


def _serve(folder: Path, use: Callable[[Logs, Send], Awaitable[None]], *props: PropertySettings) -> None:
    async def run() -> None:
        async with live_intake(folder) as logs:
            served = endpoint(logs, *props)
            await use(logs, lambda *sent, **headers: ask(served, *sent, **headers))

    asyncio.run(run())


def _bytes_of(folder: Path) -> int:
    lines = [json.dumps(record, separators=(",", ":"), ensure_ascii=False) for record in read_log(folder)]
    return sum(len(line.encode()) + 1 for line in lines)


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("name", BODIES)
def test_a_request_adds_at_most_its_body_512_bytes_an_event_and_8_kib(tmp_path: Path, name: str, agent: str) -> None:
    body, headers = BODIES[name]
    prop = PropertySettings(33167, 2, source="s" * 64, required=("ea",), ip="full")

    async def use(logs: Logs, send: Send) -> None:
        sent = {"content_type": "application/json", "user_agent": AGENTS[agent], "referer": AGENTS[agent], **headers}
        answer = await send("POST", PAIR, body, **sent)
        assert answer.status in (200, 400, 413)

    _serve(tmp_path, use, prop)
    added = _bytes_of(tmp_path / "log") + _bytes_of(tmp_path / "dead")
    assert added <= len(body) + 512 * _events_in(body) + 8192


@pytest.mark.parametrize("agent", AGENTS)
def test_a_body_that_does_not_compress_takes_up_to_a_third_more_as_a_dead_letter(tmp_path: Path, agent: str) -> None:
    body = random.Random(14).randbytes(5 * MIB)  # it is sent as gzip, which it is not

    async def use(logs: Logs, send: Send) -> None:
        headers = {"content_encoding": "gzip", "user_agent": AGENTS[agent], "referer": AGENTS[agent]}
        assert (await send("POST", PAIR, body, content_type="application/json", **headers)).status == 400
        letters = logs.dead
        parts = [json.dumps(letter["raw"]).encode() for letter in letters]
        assert raw_of(letters[0]["encoding"], parts) == body

    _serve(tmp_path, use, PropertySettings(33167, 2))
    assert _bytes_of(tmp_path / "dead") <= len(body) * 4 / 3 + 512 + 8192


def test_the_longest_record_is_what_the_bound_counts_with() -> None:
    prop = prepared(2**53 - 1, 2**53 - 1, source="s" * 64)
    context = RequestContext(prop, 10**13 - 1, "1234:" * 7 + "1234", None, None, is_s2s=False, warnings=[])
    session = Session(2**53 - 1, 0, 2**53 - 1, 2**32 - 1, 2**63 - 1, 2**32 - 1, 2**32 - 1, 0, False, False, False)
    room = room_for_headers(context, 10**6)
    record = record_line(b"f" * 16, 2**53, context, shared_members_of(context, 0), session, Event(), b"")
    nulls = len(b"null" * 2)
    assert 0 <= 512 - room - (len(record) - nulls) <= 16


def test_in_a_batch_ordinary_headers_are_stored_whole_and_long_ones_cut(tmp_path: Path) -> None:
    agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0"

    async def use(logs: Logs, send: Send) -> None:
        for user_agent in (agent, "x" * 5000):
            body = json.dumps([{"ea": "a"}] * 100).encode()
            await send("POST", PAIR, body, content_type="application/json", user_agent=user_agent)
        kept = [record["user_agent"] for record in logs.stored]
        assert set(kept[:100]) == {agent}
        assert 100 < len(kept[-1]) < 512

    _serve(tmp_path, use, PropertySettings(33167, 2, required=("ea",)))


def test_in_a_batch_a_long_user_agent_leaves_the_referer_whole_and_the_other_way_round(tmp_path: Path) -> None:
    async def use(logs: Logs, send: Send) -> None:
        body = json.dumps([{"ea": "a"}] * 100).encode()
        for user_agent, referer in (("x" * 5000, "https://shop.example.com/"), ("till/1", "https://x/" + "y" * 5000)):
            await send("POST", PAIR, body, content_type="application/json", user_agent=user_agent, referer=referer)
        assert {record["referer"] for record in logs.stored[:100]} == {"https://shop.example.com/"}
        assert {record["user_agent"] for record in logs.stored[100:]} == {"till/1"}

    _serve(tmp_path, use, PropertySettings(33167, 2, required=("ea",)))


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
@pytest.mark.parametrize(("size", "status"), [(60_000, 200), (5_000_000, 413)])
def test_a_body_that_inflates_over_the_ratio_is_refused(
    tmp_path: Path, compress: Callable[[bytes], bytes], size: int, status: int
) -> None:
    encoding = "gzip" if compress is gzip.compress else "zstd"

    async def use(_: Logs, send: Send) -> None:
        body = compress(b'{"ea":"a","x":"' + b"x" * size + b'"}')
        answer = await send("POST", PAIR, body, content_type="application/json", content_encoding=encoding)
        assert answer.status == status

    _serve(tmp_path, use, PropertySettings(33167, 2, required=("ea",)))


def test_a_batch_of_millions_of_elements_is_refused_before_they_are_decoded(tmp_path: Path) -> None:
    async def use(_: Logs, send: Send) -> None:
        answer = await send("POST", PAIR, b"[" + b"1," * 2_000_000 + b"1]", content_type="application/json")
        assert (answer.status, b"limit of 1000 events" in answer.body) == (413, True)
        answer = await send("POST", PAIR, b"\n" * 4_000_000 + b"{}", **NDJSON)
        assert (answer.status, b"lines" in answer.body) == (413, True)

    _serve(tmp_path, use, PropertySettings(33167, 2, required=("ea",)))


def test_records_of_a_sliced_batch_have_the_ids_of_their_places(tmp_path: Path) -> None:
    """Other requests append between two slices of a long batch."""

    async def use(logs: Logs, send: Send) -> None:
        long = json.dumps([{"ea": "a", "n": n, "x": "x" * 2000} if n % 7 else {"ea": n} for n in range(200)]).encode()
        short = b'{"ea":"b"}'
        sent = [send("POST", PAIR, long if at % 5 == 0 else short, content_type="application/json") for at in range(60)]
        answers = [json.loads(answer.body) for answer in await asyncio.gather(*sent)]
        records = logs.stored
        assert [record["id"].partition("-")[2] for record in records] == [str(at + 1) for at in range(len(records))]
        by_id = {record["id"]: record["event"] for record in records}
        for answer in answers:
            if answer["type"] == "batch":
                assert [by_id[each].get("n") for each in answer["ids"]] == [n for n in range(200) if n % 7]

    _serve(tmp_path, use, PropertySettings(33167, 2, required=("ea",)))


# Rates


def test_a_batch_of_junk_does_not_use_up_the_rate_of_a_property(tmp_path: Path) -> None:
    async def use(_: Logs, send: Send) -> None:
        junk = b"[1" + b",1" * 900 + b"]"
        assert (await send("POST", PAIR, junk, content_type="application/json")).status == 400
        assert (await send("POST", PAIR, b'{"ea":"a"}', content_type="application/json")).status == 200

    _serve(tmp_path, use, PropertySettings(33167, 2, required=("ea",), events_per_second=10))


def test_a_batch_larger_than_the_rate_is_refused_whole_and_does_not_block_others(tmp_path: Path) -> None:
    async def use(logs: Logs, send: Send) -> None:
        answer = await send("POST", PAIR, json.dumps([{"ea": "a"}] * 11).encode(), content_type="application/json")
        assert (answer.status, json.loads(answer.body)["code"]) == (429, "rate_limited")
        assert b"10 at a time" in answer.body
        assert logs.stored == []
        assert (await send("POST", PAIR, json.dumps([{"ea": "a"}] * 10).encode())).status == 200

    _serve(tmp_path, use, PropertySettings(33167, 2, required=("ea",), events_per_second=10))


@pytest.mark.parametrize("bad", [b"{}", b"{", b"[{},7]"])
def test_refused_events_over_their_rate_get_429_and_valid_ones_pass(tmp_path: Path, bad: bytes) -> None:
    async def use(logs: Logs, send: Send) -> None:
        statuses = [(await send("POST", PAIR, bad, content_type="application/json")).status for _ in range(5)]
        assert (statuses[0], statuses[-1]) == (400, 429)
        letters = len(logs.dead)
        mixed = await send("POST", PAIR, b'[{"ea":"a"},{}]', content_type="application/json")
        verdict = json.loads(mixed.body)
        assert (mixed.status, verdict["accepted"], verdict["rejected"][0]["code"]) == (200, 1, "rate_limited")
        assert (await send("POST", PAIR, b'{"ea":"a"}', content_type="application/json")).status == 200
        assert len(logs.dead) == letters

    _serve(tmp_path, use, PropertySettings(33167, 2, required=("ea",), rejects_per_second=0.001))


def test_refused_events_have_a_rate_by_default() -> None:
    assert PropertySettings(1, 2).rejects_per_second > 0
    assert Limits().inflation_ratio == 100


def test_batches_with_one_valid_event_do_not_escape_the_rate_of_refused_events(tmp_path: Path) -> None:
    async def use(logs: Logs, send: Send) -> None:
        body = b'[{"ea":"a"}' + b",{}" * 900 + b"]"
        answers = [await send("POST", PAIR, body, content_type="application/json") for _ in range(8)]
        codes = [json.loads(answer.body)["rejected"][0]["code"] for answer in answers]
        assert (codes[0], codes[-1]) == ("missing", "rate_limited")
        assert len(logs.stored) == 8

    _serve(tmp_path, use, PropertySettings(33167, 2, required=("ea",), rejects_per_second=1000))


@pytest.mark.parametrize("at_once", [True, False])
def test_the_rate_holds_for_bodies_that_arrive_after_their_headers(tmp_path: Path, at_once: bool) -> None:
    async def use(logs: Logs, send: Send) -> None:
        sent = [send("POST", PAIR, b' {"ea":"a"}', content_type="application/json") for _ in range(50)]
        answers = await asyncio.gather(*sent) if at_once else [await each for each in sent]
        statuses = [answer.status for answer in answers]
        assert statuses.count(200) == 10

    _serve(tmp_path, use, PropertySettings(33167, 2, required=("ea",), events_per_second=10))


def test_only_a_few_long_bodies_are_processed_at_a_time() -> None:
    most = 0

    async def one(work: LongWork, going: list[int]) -> None:
        nonlocal most
        async with work.turns:
            going.append(1)
            most = max(most, len(going))
            for _ in range(5):
                await work.pause()
            going.pop()

    async def run() -> None:
        work, going = LongWork(4), list[int]()
        await asyncio.gather(*(one(work, going) for _ in range(50)))
        assert not going

    asyncio.run(run())
    assert most == 4


def test_long_work_ends_when_its_client_has_disconnected(tmp_path: Path) -> None:
    async def run() -> None:
        async with live_intake(tmp_path) as logs:
            context = RequestContext(prepared(required=("ea",)), 1, None, None, None, is_s2s=False, warnings=[])
            options = RequestOptions(context.prop, ResponseType.JSON, is_s2s=False, location=None, fault=None)
            body = json.dumps([{"ea": "a", "x": "x" * 1500}] * 1000).encode()
            with pytest.raises(asyncio.CancelledError):
                await logs.take(request_of(options, context, is_gone=True), body)
            assert logs.stored == []

    asyncio.run(run())


def test_the_verdicts_of_a_batch_are_little_longer_than_the_batch(tmp_path: Path) -> None:
    async def use(_: Logs, send: Send) -> None:
        answer = await send("POST", PAIR, b"[{}" + b",{}" * 999 + b"]", content_type="application/json")
        verdicts = json.loads(answer.body)["rejected"]
        assert len({verdict["index"] for verdict in verdicts}) == 1000
        assert len(verdicts) == 100 * 5 + 900

    _serve(tmp_path, use, PropertySettings(33167, 2))
