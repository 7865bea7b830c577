"""The last refusals of a worker, as its writer leaves them in shared memory and another process reads them."""

import asyncio
from pathlib import Path

import pytest

from collector.ops.counters import CounterBlock
from collector.ops.refusals import ENTRIES, RefusalEntry, RefusalRing, read_refusals
from collector.settings import PropertySettings
from tests.collector.live_intake import ask, endpoint, live_intake

QUERY = "portal_id=1&prop_id={}&resp_type=json"


def _add(block: CounterBlock, *codes: str) -> None:
    async def run() -> None:
        ring = RefusalRing(block)
        for code in codes:
            ring.add(code, "1/2", b"/event")
        ring.publish()

    asyncio.run(run())


def _codes(block: CounterBlock, after: int = 0) -> list[tuple[int, str]]:
    return [(entry.number, entry.code) for entry in read_refusals(block.again(), after)[0]]


def test_a_reader_gets_each_refusal_once_and_a_successor_of_the_writer_goes_on() -> None:
    block = CounterBlock.create()
    assert read_refusals(block, 0) == ([], 0)
    _add(block, "a", "b")
    assert _codes(block) == [(1, "a"), (2, "b")]
    _add(block, "c")
    assert _codes(block, after=2) == [(3, "c")]
    assert _codes(block, after=3) == []


def test_the_last_64_are_kept_and_the_number_tells_how_many_were_missed() -> None:
    block = CounterBlock.create()
    _add(block, *(f"code {number}" for number in range(1, 101)))
    found, last = read_refusals(block, 0)
    assert last == 100
    assert [entry.code for entry in found] == [f"code {number}" for number in range(101 - ENTRIES, 101)]


@pytest.mark.parametrize("place", range(8, 8 + 192, 7))
def test_an_entry_that_is_half_written_is_left_out(place: int) -> None:
    block = CounterBlock.create()
    _add(block, *"x" * ENTRIES)
    block.ring[place] ^= 1
    assert [entry.number for entry in read_refusals(block, 0)[0]] == list(range(1, ENTRIES))


def test_long_and_hostile_texts_are_cut_and_escaped() -> None:
    block = CounterBlock.create()

    async def run() -> None:
        ring = RefusalRing(block)
        ring.add("not_found", "é\n\\\u202e" + "x" * 100 + "\ud800", b"/\x1b[31m\xff" + b"y" * 100)
        ring.publish()

    asyncio.run(run())
    ((entry,), _) = read_refusals(block, 0)
    assert entry.property.startswith("\\xe9\\n\\\\\\u202exxx")
    assert entry.path.startswith("/\\x1b[31m\\\\xffyyy")
    assert entry.property.count("x") == 1 + 64 - 7
    assert entry.path.count("y") == 48 - 7
    assert all(" " <= letter <= "~" for letter in entry.property + entry.path)


def test_refusals_without_content_are_kept_and_those_with_a_dead_letter_are_not(tmp_path: Path) -> None:
    good, bad = b'{"ea":"view","event_id":"e-1"}', b'{"ea":1}'

    async def run() -> list[RefusalEntry]:
        async with live_intake(tmp_path) as logs:
            served = endpoint(
                logs,
                PropertySettings(1, 2, required=("ea",), dedup="1h"),
                PropertySettings(1, 3, origins=("https://a.example",)),
                PropertySettings(1, 4, required=("ea",), events_per_second=0.001),
            )
            for prop_id, body in [(2, good), (2, good), (2, b"[%b]" % good), (2, bad), (9, good), (4, bad), (4, good)]:
                await ask(served, "POST", QUERY.format(prop_id), body)
            await ask(served, "POST", QUERY.format(4), b'[{"ea":"a"},{"ea":"b"},{"ea":"c"}]')
            await ask(served, "POST", QUERY.format(3), good, origin="https://b.example")
            await ask(served, "POST", QUERY.format("x"), good)
            await ask(served, "POST", QUERY.format(2), b'{"ea":"%b"}' % (b"x" * 70_000))
            assert len(logs.dead) == 2
            logs.accounts.refusals.publish()
            first = f"{logs.committer.log.log_id.decode()}-1"
            found, _ = read_refusals(logs.counters, 0)
            assert [entry.event_id for entry in found[:2]] == [first, first]
            return found

    found = asyncio.run(run())
    assert [(entry.code, entry.property) for entry in found] == [
        ("duplicate", "1/2"),
        ("duplicate", "1/2"),
        ("not_found", "1/9"),
        ("rate_limited", "1/4"),
        ("forbidden", "1/3"),
        ("invalid_query", "1/0"),
        ("too_large", "1/2"),
    ]
    assert {entry.path for entry in found} == {"/event"}


def test_a_refusal_is_published_soon_without_a_call() -> None:
    block = CounterBlock.create()

    async def run() -> None:
        RefusalRing(block).add("forbidden", "1/2", b"/event")
        while not read_refusals(block, 0)[0]:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(run(), 30))
