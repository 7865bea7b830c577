"""Any bytes get a valid HTTP response or the end of the connection, and the responses match the logs.

Every request has its own referer, which identifies its records and dead letters. `TRACKLOG_CASES` is the number of
requests in the long runs.
"""

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.framing import Burst, bursts
from tests.contract.hostile import KNOWN, Attempt, attempts
from tests.contract.wire import Answer, Wire
from tests.running import Collector, running

_SETTINGS = """
[server]
port = {port}
workers = {workers}
[limits]
header_seconds = 0.2
body_seconds = 0.2
[dead_letters]
bytes_per_hour = 4_000_000_000
[[property]]
portal_id = 33167
prop_id = 2
redirect_hosts = ["shop.example.com"]
"""
_STATUSES = {200, 204, 302, 400, 403, 404, 405, 408, 413, 414, 415, 431}
_GIF_LENGTH = 43
_MALFORMED = b"malformed HTTP request"
Records = dict[str | None, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A collector with two workers and short timeouts; at the end, its workers are alive and no traceback is logged."""
    with running(tmp_path_factory.mktemp("fuzz"), settings=_SETTINGS) as collector:
        workers = collector.workers()
        yield collector
        assert collector.workers() == workers
        assert collector.stop() == 0
        assert "Traceback" not in collector.stderr


class Outcome(NamedTuple):
    """A request and its response; None if the connection ended instead."""

    attempt: Attempt
    answer: Answer | None


def test_responses_match_the_logs(fuzzed: Collector) -> None:
    _fuzz(fuzzed, settings(max_examples=350, derandomize=True))


def test_no_framing_splits_or_joins_requests(fuzzed: Collector) -> None:
    _fuzz_framing(fuzzed, settings(max_examples=6, derandomize=True))


@pytest.mark.torture
@pytest.mark.timeout(3600)
def test_no_framing_splits_or_joins_requests_many_times(fuzzed: Collector) -> None:
    _fuzz_framing(fuzzed, settings(max_examples=int(os.environ.get("TRACKLOG_CASES", "100000")) // 1000))


@pytest.mark.torture
@pytest.mark.timeout(3600)
def test_responses_match_the_logs_many_times(fuzzed: Collector) -> None:
    _fuzz(fuzzed, settings(max_examples=int(os.environ.get("TRACKLOG_CASES", "100000")) // 5))


def _fuzz(collector: Collector, how: settings) -> None:
    """Send requests on one connection, and compare the responses with the logs at the end."""
    outcomes: dict[str, Outcome] = {}
    wire = Wire(collector.port)
    start = len(_records(collector.folder / "data/log")) + len(outcomes)

    @settings(how, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(attempts())
    def send(attempt: Attempt) -> None:
        mark = f"fuzz-{start}-{len(outcomes)}"
        wire.send(*attempt.pieces(mark))
        answer = wire.answer(attempt.method)
        outcomes[mark] = Outcome(attempt, answer)
        if answer is not None:
            _check_face(attempt, answer)

    send()
    wire.close()
    stored, dead = (_records(collector.folder / "data" / name) for name in ("log", "dead"))
    assert {mark for mark in (*stored, *dead) if mark and mark.startswith("fuzz-")} <= set(outcomes)
    for mark, outcome in outcomes.items():
        _check_traces(outcome, stored[mark], dead[mark])


def _fuzz_framing(collector: Collector, how: settings) -> None:
    """Send every burst on its own connection, all at once, because incomplete ones wait for their timeout."""
    marks = count()
    start = f"burst-{len(_records(collector.folder / 'data/log'))}"

    @settings(how, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.lists(bursts(), min_size=40, max_size=40))
    def send(sent: list[Burst]) -> None:
        named = [(f"{start}-{next(marks)}", burst) for burst in sent]
        wires = []
        for mark, burst in named:
            wires.append(Wire(collector.port))
            wires[-1].send(burst.wire(mark))
        answers = [wire.answers() for wire in wires]
        stored = _records(collector.folder / "data/log")
        for (mark, burst), each in zip(named, answers, strict=True):
            _check_burst(burst, each, stored[mark], stored[f"inner-{mark}"])

    send()


def _check_burst(
    burst: Burst, answers: list[Answer], stored: list[dict[str, Any]], inner: list[dict[str, Any]]
) -> None:
    said = (burst, answers)
    assert all(answer.status in _STATUSES for answer in answers), said
    claimed = {answer.headers["x-event-id"] for answer in answers if "x-event-id" in answer.headers}
    ids = {record["id"] for record in (*stored, *inner)}
    assert claimed <= ids, said
    assert len(stored) <= 1, said
    if burst.is_ambiguous:
        assert not ids, said
        assert [answer.status for answer in answers] in ([400], []), said
    if burst.is_plain:
        assert ids == claimed == {record["id"] for record in stored}, said
        assert [answer.status for answer in answers] == [200, 404], said


def _check_face(attempt: Attempt, answer: Answer) -> None:
    """Check that the contract has the status and form of the response."""
    assert answer.status in _STATUSES
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    if answer.status == 302:
        assert answer.headers["location"].startswith("https://shop.example.com/")
    if attempt.method == b"HEAD" or answer.status in (204, 302):
        assert answer.body == b""
    elif answer.headers["content-type"] == "image/gif":
        assert len(answer.body) == _GIF_LENGTH
    else:
        assert _object(answer)


def _object(answer: Answer) -> dict[str, Any]:
    body = answer.body
    if answer.headers["content-type"] == "text/javascript; charset=utf-8":
        assert not set(b"<>&") & set(body)
        body = body.removeprefix(b"_event_callback_data(").removesuffix(b");")
    value: dict[str, Any] = json.loads(body)
    return value


def _check_traces(outcome: Outcome, stored: list[dict[str, Any]], dead: list[dict[str, Any]]) -> None:
    """Check that the records match the response, and that an event refused for its content is a dead letter."""
    attempt, answer = outcome
    ids = {record["id"] for record in stored}
    assert len(ids) == len(stored)
    if answer is None:
        assert not ids, outcome
        assert len(attempt.body.wire if attempt.body else b"") > 1 << 16, outcome  # refused before the body was read
        return
    if attempt.method == b"HEAD" or "x-event-ack" not in answer.headers:
        assert not ids, outcome
    elif "x-event-id" in answer.headers:
        assert ids == {answer.headers["x-event-id"]}, outcome
        if attempt.body and attempt.body.event:
            assert stored[0]["event"] == _loads(attempt.body.event), outcome
    elif answer.headers["content-type"] == "image/gif":
        assert ids, outcome
    else:
        assert ids == set(_object(answer)["ids"]), outcome
    assert bool(dead) in _leaves_dead_letters(attempt, answer), outcome


def _leaves_dead_letters(attempt: Attempt, answer: Answer) -> set[bool]:
    """Whether there must be dead letters; both values if the response does not show it."""
    is_known = KNOWN in attempt.target and attempt.target.startswith((b"/event?", b"/?", b"/%65vent?"))
    if attempt.method in (b"HEAD", b"OPTIONS") or not is_known:
        return {False}
    if answer.status == 302 or (answer.status == 200 and answer.headers["content-type"] == "image/gif"):
        return {False, True}
    if answer.status == 200:
        return {bool(_object(answer).get("rejected"))}
    if answer.status == 400 and attempt.body and not attempt.body.wire:
        return {False, True}  # the event is expected in the query
    return {answer.status == 400 and attempt.has_content and _MALFORMED not in answer.body}


def _records(directory: Path) -> Records:
    """All records by referer. Every line must be strict JSON in UTF-8, or blank at the end of a segment."""
    records: Records = defaultdict(list)
    for path in sorted(directory.glob("*/seg-*.ndjson")):
        for line in path.read_bytes().split(b"\n"):
            record = _loads(line) if line.strip(b"\0") else []
            if isinstance(record, dict):
                records[record["referer"]].append(record)
    return records


def _loads(text: bytes) -> Any:
    """Parse JSON with numbers as text, because a client's may be longer than Python reads."""
    return json.loads(text.decode(), parse_int=str, parse_float=str, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
