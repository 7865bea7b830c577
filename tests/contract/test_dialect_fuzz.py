"""Any bytes that an SDK may send get a valid response, and what is stored is what the response says.

`TRACKLOG_CASES` is the number of requests in the long run.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings

from tests.contract.sdk_attempts import SECRET, SHOP, WRONG_SECRET, SdkAttempt, sdk_attempts
from tests.contract.sdk_requests import DIALECTS, recorded
from tests.contract.wire import Answer, Wire
from tests.running import Collector, running
from wal.files import Files
from wal.folder import LogFolder
from wal.reader import Reader, read_all
from wal.segment import Block

_PROPERTY: Final = '[[property]]\nportal_id = 1\nprop_id = {}\nid = "{}"\nrejects_per_second = 1000000\n{}\n'
_PROPERTIES: Final = {
    "open": 'dedup = "off"',
    "keyed": 'dedup = "off"\nwrite_keys = ["env:TRACKLOG_TEST_KEY_A"]',
    "private": 'dedup = "off"\nip = "drop"\nuser_agent = "drop"',
    "truncated": 'ip = "truncate"',
    "listed": f'dedup = "off"\norigins = ["{SHOP.decode()}"]',
    "none": "dialects = []",
    **{f"only-{each}": f'dialects = ["{each}"]' for each in DIALECTS},
}
_IDS: Final = dict(enumerate(_PROPERTIES, 1))
_SETTINGS: Final = """
[server]
port = {port}
workers = {workers}
[admin]
port = 0
[dedup]
bytes = 16777216
[limits]
header_seconds = 0.5
body_seconds = 0.5
[dead_letters]
bytes_per_hour = 4_000_000_000
""" + "".join(_PROPERTY.format(number, name, more) for number, (name, more) in enumerate(_PROPERTIES.items(), 1))
_STATUSES: Final = {200, 204, 400, 403, 404, 405, 413, 414, 415, 431}
_MEMBERS: Final = (
    *("id", "received_at", "portal_id", "prop_id", "source", "dialect", "ip", "user_agent", "referer", "s2s"),
    *("occurred_at", "event_id", "au_id", "client_id", "session", "warnings", "event"),
)
_FIELDS: Final = {"ea", "ec", "sid", "aid", "uid", "event_id", "et", "sent_at", "items", "dims", "context", "extra"}
_BATCHES: Final = {"/v1/batch": "batch", "/a/piwik.php": "requests", "/matomo.php": "requests"}
"""The member of a body that has its events, by path."""
_EVENT_BYTES: Final = 512
_REQUEST_BYTES: Final = 8 << 10
_COUNTER: Final = re.compile(
    r'tracklog_events_(received|stored|duplicate|rejected|shed)_total\{.*portal="1",prop="(\d+)".*\} (\d+)'
)


class Added(NamedTuple):
    """The records and dead letters of one request, and their bytes."""

    records: list[dict[str, Any]]
    letters: list[dict[str, Any]]
    lines: bytes


class Tail:
    """Reads what is new in the logs."""

    def __init__(self, folder: Path) -> None:
        self._readers = []
        for name in ("log", "dead"):
            log = LogFolder(Files(), str(folder / "data" / name / "00"))
            start = log.oldest()
            assert start is not None
            self._readers.append(Reader(log, start))

    def read(self) -> Added:
        """Records and letters since the last call. Every line must be strict JSON in UTF-8."""
        stored, dead = (
            b"".join(step.payload for step in read_all(each) if isinstance(step, Block)) for each in self._readers
        )
        return Added(list(map(_loads, stored.splitlines())), list(map(_loads, dead.splitlines())), stored + dead)

    def close(self) -> None:
        for each in self._readers:
            each.close()


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A collector with one worker; at the end, it is alive, no traceback is logged, and its counters add up."""
    with running(tmp_path_factory.mktemp("dialects"), 1, _SETTINGS) as collector:
        workers = collector.workers()
        yield collector
        assert collector.workers() == workers
        assert collector.stop() == 0
        assert "Traceback" not in collector.stderr
        assert SECRET not in collector.stderr


def test_responses_to_sdks_match_the_logs(fuzzed: Collector) -> None:
    _fuzz(fuzzed, settings(max_examples=200, derandomize=True))


@pytest.mark.torture
@pytest.mark.timeout(3600)
def test_responses_to_sdks_match_the_logs_many_times(fuzzed: Collector) -> None:
    _fuzz(fuzzed, settings(max_examples=int(os.environ.get("TRACKLOG_CASES", "100000")) // 10))


def _fuzz(collector: Collector, how: settings) -> None:
    tail, wire = Tail(collector.folder), Wire(collector.port)
    tail.read()

    @settings(how, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(sdk_attempts(recorded()))
    def send(attempt: SdkAttempt) -> None:
        wire.send(attempt.sent)
        answer = wire.answer(attempt.request.method.encode())
        said = (attempt.request, attempt.keys, attempt.body[:3000], answer)
        if answer is None:
            assert len(attempt.sent) > 1 << 16, said  # refused before the body was read
            wire.close()
            return
        added = tail.read()
        _check_answer(attempt, answer, said)
        _check_added(attempt, answer, added, said)

    try:
        send()
    finally:
        wire.close()
        tail.close()
    _check_counters(collector)


def _check_answer(attempt: SdkAttempt, answer: Answer, said: object) -> None:
    method = attempt.request.method
    assert answer.status in _STATUSES, said
    assert answer.headers["x-content-type-options"] == "nosniff", said
    if attempt.request.dialect == "snowplow" and method == "POST":
        assert answer.status not in (405, 413, 414, 415), said
    if method == "HEAD" or answer.status == 204 or answer.headers["content-type"] == "image/gif":
        return
    body = _loads(answer.body)
    assert isinstance(body, dict), said
    if answer.status >= 400:
        is_ours = answer.status != 404 or "code" in body
        assert {"message", *(["code"] if is_ours else [])} <= set(body), said


def _check_added(attempt: SdkAttempt, answer: Answer, added: Added, said: object) -> None:
    said = (said, added)
    if attempt.request.method in ("HEAD", "OPTIONS", "PUT") or answer.status not in (200, 204):
        assert not added.records, said
    for record in added.records:
        _check_record(attempt, record, said)
    for letter in added.letters:
        assert _may_send(attempt, int(letter["prop_id"])), said
    if attempt.is_whole or len(attempt.keys) == 1:  # of two keys one may stand where no reader finds it
        assert SECRET.encode() not in added.lines, said
        assert WRONG_SECRET.encode() not in added.lines, said
    events = max(1, len(added.records) + sum(map(_events_of, added.letters)))
    inflated = len(attempt.body) * (1 if attempt.is_whole else 2)  # a compressed body may be sent twice in one request
    sent = max(inflated, len(attempt.sent))
    most = sent * (4 / 3 if added.letters else 1) + _EVENT_BYTES * events + _REQUEST_BYTES
    assert len(added.lines) <= most, (len(added.lines), most, said)
    if answer.status == 200 and attempt.request.method == "POST":
        _check_numbers(attempt, answer, added, said)
        _check_all_kept(attempt, added, said)


def _check_record(attempt: SdkAttempt, record: dict[str, Any], said: object) -> None:
    left_out = {name for name in ("event_id", "dialect") if name not in record}
    assert tuple(record) == tuple(name for name in _MEMBERS if name not in left_out), said
    name = _IDS[int(record["prop_id"])]
    dialect = record.get("dialect")
    assert dialect == attempt.request.dialect or attempt.request.target.startswith("/event"), said
    assert name != "none" or dialect is None, said
    assert not name.startswith("only-") or name == f"only-{dialect}" or dialect is None, said
    assert _may_send(attempt, int(record["prop_id"])), said
    if name == "private":
        assert record["ip"] is record["user_agent"] is None, said
    if dialect:
        assert set(record["event"]) <= _FIELDS, said
        told = {name: value for name, value in record["event"].items() if name not in ("et", "sent_at")}
        left_empty: dict[str, object] | None = (
            {} if name in ("private", "truncated") else None
        )  # where all members were addresses
        assert all(value not in (None, "", [], {}) or value == left_empty for value in told.values()), said


def _may_send(attempt: SdkAttempt, prop_id: int) -> bool:
    name = _IDS[prop_id]
    is_keyed = name != "keyed" or (name, SECRET) in attempt.keys or b"Bearer " + SECRET.encode() in attempt.sent
    is_listed = name != "listed" or attempt.origin in (b"", SHOP)
    return name in dict(attempt.keys) and is_keyed and is_listed


def _check_numbers(attempt: SdkAttempt, answer: Answer, added: Added, said: object) -> None:
    body = _loads(answer.body) if answer.headers["content-type"] != "image/gif" else {}
    refused = sum(map(_events_of, added.letters))
    if "tracked" in body:
        assert int(body["tracked"]) == len(added.records), said
        assert int(body["invalid"]) >= refused, said
    elif "accepted" in body and "rejected" in body and not isinstance(body["rejected"], list):
        assert (int(body["accepted"]), int(body["rejected"])) == (len(added.records), refused), said


def _check_all_kept(attempt: SdkAttempt, added: Added, said: object) -> None:
    """Check that a batch whose property is in the head of its request is in the logs, event by event."""
    body = json.loads(attempt.body) if attempt.is_whole and attempt.keys == (("open", ""),) else None
    events = body.get(_BATCHES.get(attempt.request.target.partition("?")[0])) if isinstance(body, dict) else None
    is_named = b"\r\nauthorization: Basic " in attempt.sent or "?idsite=open" in attempt.request.target
    if isinstance(events, list) and is_named and b"writeKey" not in attempt.body and b"idsite" not in attempt.body:
        assert len(added.records) + sum(map(_events_of, added.letters)) == max(1, len(events)), said


def _events_of(letter: dict[str, Any]) -> int:
    return sum(len(each["indexes"]) for each in letter["refusals"]) if "refusals" in letter else 1


def _check_counters(collector: Collector) -> None:
    """Check that every event received was stored, a duplicate, rejected, or shed."""
    sums: dict[str, dict[str, int]] = {}
    for name, prop, value in _COUNTER.findall(collector.metrics()):
        of = sums.setdefault(prop, {})
        of[name] = of.get(name, 0) + int(value)
    assert sums
    for prop, of in sums.items():
        assert of.pop("received") == sum(of.values()), (prop, of)


def _loads(text: bytes) -> Any:
    return json.loads(text.decode(), parse_int=str, parse_float=str, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
