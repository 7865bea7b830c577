"""How many events a client lost: read from stored events, added up once, and bounded."""

import asyncio
import errno
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from collector.ingest.fields.lost_events import count_of, warning_of
from collector.settings import PropertySettings
from tests.collector.live_intake import Logs, ask, endpoint, live_intake
from tests.wal.faulty_files import FaultyFiles

PAIR = "portal_id=33167&prop_id=2&resp_type=json"
VIEW = {"ea": "view", "ec": "product"}
COUNTED = ("tracklog_client_lost_events_total", "33167", "2")
UNREADABLE = "lost is not 0 to 1000000"


@pytest.mark.parametrize(("sent", "number"), [(b"0", 0), (b"1", 1), (b"1000000", 1_000_000), (b"null", 0)])
def test_a_number_counts_as_it_is(sent: bytes, number: int) -> None:
    assert (count_of(Raw(sent)), warning_of(Raw(sent))) == (number, None)


@pytest.mark.parametrize(
    "sent",
    [b"1000001", b"9" * 5000, b"-1", b"1.0", b"1e3", b"true", b'"3"', b"[3]", b"{}", b'""', "\u0663".encode()],
)
def test_what_is_no_number_in_bounds_does_not_count_and_costs_a_warning(sent: bytes) -> None:
    assert (count_of(Raw(sent)), warning_of(Raw(sent))) == (0, UNREADABLE)


def _sent(folder: Path, *bodies: object, method: str = "POST", more: str = "", files: FaultyFiles | None = None) -> Any:
    """Send each body to a property; returns the statuses, the records, and the number of events that were lost."""

    async def run() -> tuple[list[int], list[dict[str, Any]], int]:
        async with live_intake(folder, files=files) as logs:
            served = endpoint(logs, PropertySettings(33167, 2, required=("ea", "ec"), dedup="1h"))
            statuses = []
            if files:
                files.fail("write", errno.ENOSPC)
            for body in bodies:
                text = json.dumps(body).encode() if method == "POST" else None
                statuses.append((await ask(served, method, PAIR + more, text, content_type="text/plain")).status)
            return statuses, logs.stored, _counted(logs)

    return asyncio.run(run())


def _counted(logs: Logs) -> int:
    return logs.counters.read().get(COUNTED, 0)


def test_the_numbers_of_single_events_and_of_batches_are_added_up(tmp_path: Path) -> None:
    named = {**VIEW, "event_id": "e-1", "lost": 20}
    batch = [{**VIEW, "lost": 300}, VIEW, {"ea": 1, "lost": 7}, {**VIEW, "lost": 4000, "event_id": "e-2"}]
    statuses, records, counted = _sent(tmp_path, {**VIEW, "lost": 1}, named, batch, VIEW, [VIEW])
    assert (statuses, counted) == ([200] * 5, 4321)
    assert [record["event"].get("lost") for record in records] == [1, 20, 300, None, 4000, None, None]
    assert all(record["warnings"] == [] for record in records)


def test_a_query_tells_it_too(tmp_path: Path) -> None:
    statuses, (record,), counted = _sent(tmp_path, None, method="GET", more="&ea=view&ec=product&lost=5")
    assert (statuses, record["event"]["lost"], counted) == ([200], 5, 5)


def test_a_request_that_stores_nothing_counts_nothing(tmp_path: Path) -> None:
    assert _sent(tmp_path, None, method="HEAD", more="&ea=view&ec=product&lost=5") == ([200], [], 0)


def test_an_event_that_is_sent_again_counts_once(tmp_path: Path) -> None:
    first, second = ({**VIEW, "event_id": f"e-{at}", "lost": 10**at} for at in (1, 2))
    statuses, records, counted = _sent(tmp_path, first, first, [first, second, second], [second], first)
    assert (statuses, len(records), counted) == ([200] * 5, 2, 110)


def test_an_event_whose_block_fails_does_not_count(tmp_path: Path) -> None:
    files = FaultyFiles()
    statuses, _, counted = _sent(tmp_path, {**VIEW, "lost": 1}, [{**VIEW, "lost": 20}], files=files)
    assert (statuses, counted) == ([503, 200], 20)


@pytest.mark.parametrize("is_batch", [False, True])
def test_a_number_that_cannot_be_read_is_stored_with_a_warning(tmp_path: Path, is_batch: bool) -> None:
    event = {**VIEW, "lost": "many", "et": "x"}
    statuses, (record,), counted = _sent(tmp_path, [event] if is_batch else event)
    assert (statuses, counted, record["event"]["lost"]) == ([200], 0, "many")
    assert record["warnings"] == ["et is not a time", UNREADABLE]
