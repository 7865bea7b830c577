"""Dead letters: whole, durable, under a budget of bytes an hour."""

import asyncio
import errno
import json
import random
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from collector.dead_letters.budget import HourlyBudget
from collector.dead_letters.content import PART_BYTES, raw_of
from collector.dead_letters.writer import DeadLetters, Form, Refused, Sender
from collector.errors import BadEvent, Fault, FieldCode, TooLarge
from collector.ops.counters import CounterBlock
from collector.ops.notices import Notices
from tests.collector.live_log import live_log
from tests.running import read_log
from wal.committer import Committer
from wal.files import Files

HOUR_MS = 3_600_000
NOW_MS = 500_000 * HOUR_MS
SENDER = Sender(33167, 2, NOW_MS - 5, "127.0.0.1", "agent/1", None, is_s2s=False)
FAULTS = (
    Fault("ea", FieldCode.MISSING, "missing"),
    Fault("sid", FieldCode.OUT_OF_RANGE, "expected `int` >= 0"),
)
REFUSAL = BadEvent("the event failed validation", FAULTS).refusal


class FullDisk(Files):
    """A disk without room for one more block."""

    def reserve(self, descriptor: int, offset: int, length: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


def _refused(raw: bytes) -> Refused:
    return Refused(REFUSAL, raw)


def _letters(
    committer: Committer,
    bytes_per_hour: int,
    clock: Clock | None = None,
    properties: int = 1,
    notices: Notices | None = None,
) -> DeadLetters:
    budget = HourlyBudget(bytes_per_hour, properties, clock or Clock())
    return DeadLetters(committer, budget, notices or Notices(), CounterBlock.create())


def _raw(letter: dict[str, Any]) -> bytes:
    """The raw bytes in a letter that is not in parts."""
    return raw_of(letter["encoding"], [json.dumps(letter["raw"], separators=(",", ":")).encode()])


def _kept(folder: Path, *raws: bytes, bytes_per_hour: int = 1 << 20) -> tuple[list[bool], list[dict[str, Any]]]:
    """What `put` said of each, and the letters in the log."""

    async def put() -> list[bool]:
        async with live_log(folder / "00") as committer:
            dead_letters = _letters(committer, bytes_per_hour)
            return [await dead_letters.put(SENDER, Form.JSON, [_refused(raw)]) for raw in raws]

    return asyncio.run(put()), read_log(folder)


def _length(folder: Path) -> int:
    """Bytes of the letter for `{}`."""
    _, (letter,) = _kept(folder / "measured", b"{}")
    return len(json.dumps(letter, separators=(",", ":"))) + 1


def test_a_letter_holds_the_raw_bytes_and_the_reason(tmp_path: Path) -> None:
    is_kept, (letter,) = _kept(tmp_path, b'{"sid":-1}')
    assert is_kept == [True]
    log_id, _, sequence = letter.pop("id").partition("-")
    assert (len(log_id), sequence) == (16, "1")
    assert letter == {
        "received_at": NOW_MS - 5,
        "portal_id": 33167,
        "prop_id": 2,
        "ip": "127.0.0.1",
        "user_agent": "agent/1",
        "referer": None,
        "s2s": False,
        "code": "invalid_event",
        "reason": "the event failed validation",
        "errors": [
            {"field": "ea", "code": "missing", "message": "missing"},
            {"field": "sid", "code": "out_of_range", "message": "expected `int` >= 0"},
        ],
        "form": "json",
        "encoding": "json",
        "raw": {"sid": -1},
    }


@pytest.mark.parametrize("raw", [b'{"a":[1,2]}', b"7", b'"x"', '{"a":"hé"}'.encode()])
def test_json_is_kept_as_it_is(tmp_path: Path, raw: bytes) -> None:
    _, (letter,) = _kept(tmp_path, raw)
    assert (letter["encoding"], letter["raw"]) == ("json", json.loads(raw))


@pytest.mark.parametrize("raw", [b"", b'{"a":\n"\r\x00\x1f"', "hé\u2028 \U0001f600".encode(), b'\x7f\\"'])
def test_text_is_kept_as_text(tmp_path: Path, raw: bytes) -> None:
    _, (letter,) = _kept(tmp_path, raw)
    assert (letter["encoding"], letter["raw"].encode()) == ("utf-8", raw)


@pytest.mark.parametrize("raw", [b"\xff", b'{"ea":"\xe9"}', b"\xed\xa0\x80", bytes(range(256))])
def test_other_bytes_are_kept_in_base64(tmp_path: Path, raw: bytes) -> None:
    _, (letter,) = _kept(tmp_path, raw)
    assert (letter["encoding"], b64decode(letter["raw"])) == ("base64", raw)


def test_each_letter_has_an_id_of_its_own(tmp_path: Path) -> None:
    _, letters = _kept(tmp_path, b"1", b"2", b"3")
    assert [letter["id"].partition("-")[2] for letter in letters] == ["1", "2", "3"]


def _kept_together(
    folder: Path, refused: list[Refused], bytes_per_hour: int = 64 << 20, form: Form = Form.JSON
) -> tuple[bool, list[dict[str, Any]]]:
    """What `put` said of all of them at once, and the letters in the log."""

    async def put() -> bool:
        async with live_log(folder / "00") as committer:
            return await _letters(committer, bytes_per_hour).put(SENDER, form, refused)

    return asyncio.run(put()), read_log(folder)


def _batch(*raws: bytes) -> list[Refused]:
    return [Refused(REFUSAL, raw, at) for at, raw in enumerate(raws)]


def test_the_refused_events_of_a_batch_are_one_letter_with_the_reasons_by_index(tmp_path: Path) -> None:
    long = TooLarge("too long").refusal
    refused = [Refused(REFUSAL, b"{}", 1), Refused(long, b'{"a":1}', 4), Refused(REFUSAL, b"7", 9)]
    is_kept, (letter,) = _kept_together(tmp_path, refused)
    assert is_kept
    assert (letter["form"], letter["encoding"], letter["raw"]) == ("json", "json", [{}, {"a": 1}, 7])
    assert [(reason["reason"], reason["indexes"]) for reason in letter["refusals"]] == [
        (REFUSAL.message, [1, 9]),
        ("too long", [4]),
    ]


def test_events_of_a_batch_that_are_not_json_have_a_letter_of_their_own(tmp_path: Path) -> None:
    _, letters = _kept_together(tmp_path, _batch(b"{}", b"{", b"7", b"\xff"), form=Form.NDJSON)
    assert [(letter["form"], letter["encoding"], _raw(letter)) for letter in letters] == [
        ("json", "json", b"[{},7]"),
        ("ndjson", "base64", b"{\n\xff"),
    ]
    assert [[reason["indexes"] for reason in letter["refusals"]] for letter in letters] == [[[0, 2]], [[1, 3]]]


def test_a_letter_tells_a_bounded_number_of_reasons(tmp_path: Path) -> None:
    refused = [Refused(BadEvent(f"at byte {at}").refusal, b"{}", at) for at in range(1000)]
    _, (letter,) = _kept_together(tmp_path, refused)
    assert len(letter["refusals"]) == 17
    assert sorted(at for reason in letter["refusals"] for at in reason["indexes"]) == list(range(1000))


@pytest.mark.parametrize("raw", [b"[]", b"{", b"\x00", b"\xff", b'"', b'{"a":"\xc3\xa9\\n"}', b"[" * 500 + b"]" * 500])
@pytest.mark.parametrize("times", [1, 1000, 100_000])
def test_what_letters_take_is_bounded_by_what_was_sent(tmp_path: Path, raw: bytes, times: int) -> None:
    """Whatever it is: JSON as it is, text, base64 or compressed."""
    one = _kept_together(tmp_path / "one", [_refused(raw * times)])[1]
    assert sum(map(_length_of, one)) <= 8192 + 512 + len(raw) * times
    events = min(times, 1000)
    many = _kept_together(tmp_path / "many", _batch(*[raw] * events))[1]
    assert sum(map(_length_of, many)) <= 8192 + events * 512 + len(raw) * events


def _length_of(letter: dict[str, Any]) -> int:
    return len(json.dumps(letter, separators=(",", ":"), ensure_ascii=False).encode()) + 1


NOISE = random.Random(15).randbytes(5 << 20)


@pytest.mark.parametrize(("length", "parts"), [(PART_BYTES, 1), (PART_BYTES + 1, 2), (5 << 20, 8)])
def test_bytes_that_do_not_compress_are_kept_in_parts_and_take_a_third_more(
    tmp_path: Path, length: int, parts: int
) -> None:
    is_kept, letters = _kept_together(tmp_path, [_refused(NOISE[:length])])
    assert is_kept
    assert len({letter["id"] for letter in letters}) == parts
    numbers = [(letter.get("part"), letter.get("of")) for letter in letters]
    assert numbers == ([(None, None)] if parts == 1 else [(at + 1, parts) for at in range(parts)])
    assert b"".join(map(_raw, letters)) == NOISE[:length]
    assert sum(map(_length_of, letters)) <= 8192 + 512 + length * 4 / 3


def test_many_letters_of_a_batch_tell_the_reasons_that_fit(tmp_path: Path) -> None:
    reasons = [BadEvent(f"reason {at}", (Fault("ea", FieldCode.MISSING, "x" * 1000),)).refusal for at in range(40)]
    _, letters = _kept_together(
        tmp_path, [Refused(refusal, b'"%b"' % NOISE[:9], at) for at, refusal in enumerate(reasons)]
    )
    refusals = [refusal for letter in letters for refusal in letter["refusals"]]
    assert [refusal["reason"] for refusal in refusals][:2] == ["reason 0", "reason 1"]
    assert refusals[-1]["reason"] == "other reasons"
    assert sorted(at for refusal in refusals for at in refusal["indexes"]) == list(range(40))


def test_a_batch_that_is_longer_than_a_line_may_be_is_kept_in_several_letters(tmp_path: Path) -> None:
    is_kept, letters = _kept_together(tmp_path, _batch(*[b'"%b"' % (b"x" * 16_000)] * 600))
    assert is_kept
    assert 1 < len(letters) < 60
    assert sum(len(letter["raw"]) for letter in letters) == 600
    indexes = [at for letter in letters for reason in letter["refusals"] for at in reason["indexes"]]
    assert indexes == list(range(600))


def test_a_property_fills_half_of_what_the_others_leave(tmp_path: Path) -> None:
    async def put() -> list[int]:
        kept = []
        async with live_log(tmp_path / "00") as committer:
            letters = _letters(committer, 64 << 10, properties=3)
            for prop_id in (1, 2, 3):
                sender = SENDER._replace(prop_id=prop_id)
                is_kept = [await letters.put(sender, Form.JSON, [_refused(b"{}")]) for _ in range(300)]
                kept.append(sum(is_kept))
        return kept

    first, second, third = asyncio.run(put())
    assert first < 300
    assert first / 2 - 2 <= second <= first / 2 + 2
    assert third > 0


def test_letters_over_the_budget_of_an_hour_are_refused_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    budget = 2 * _length(tmp_path) + 10
    is_kept, letters = _kept(tmp_path / "log", *[b"{}"] * 5, bytes_per_hour=budget)
    assert is_kept == [True, True, False, False, False]
    assert len(letters) == 2
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_letter_that_just_fits_is_kept(tmp_path: Path) -> None:
    length = _length(tmp_path)
    assert _kept(tmp_path / "exact", b"{}", bytes_per_hour=length)[0] == [True]
    assert _kept(tmp_path / "short", b"{}", bytes_per_hour=length - 1)[0] == [False]


def test_the_budget_is_new_with_each_hour_of_the_clock(tmp_path: Path) -> None:
    budget = _length(tmp_path) * 3 // 2
    clock = Clock()

    async def put() -> list[bool]:
        is_kept = []
        async with live_log(tmp_path / "log" / "00") as committer:
            dead_letters = _letters(committer, budget, clock)
            for minutes in (0, 60, 61, 119, 120):
                clock.now_ms = NOW_MS + minutes * 60_000
                is_kept.append(await dead_letters.put(SENDER, Form.JSON, [_refused(b"{}")]))
        return is_kept

    assert asyncio.run(put()) == [True, True, False, False, True]
    assert len(read_log(tmp_path / "log")) == 3


def test_a_full_disk_is_reported_and_not_raised(tmp_path: Path) -> None:
    notices = Notices()

    async def put() -> bool:
        async with live_log(tmp_path / "00", files=FullDisk()) as committer:
            letters = _letters(committer, 1 << 20, notices=notices)
            return await letters.put(SENDER, Form.JSON, [_refused(b"{}")])

    assert asyncio.run(put()) is False
    assert [str(event) for event in notices.due(0)] == ["refused events left no dead letter: LogFull: 1"]
    assert read_log(tmp_path) == []


def test_a_closed_log_is_reported_and_not_raised(tmp_path: Path) -> None:
    async def put() -> bool:
        async with live_log(tmp_path / "00") as committer:
            await committer.close()
            return await _letters(committer, 1 << 20).put(SENDER, Form.JSON, [_refused(b"{}")])

    assert asyncio.run(put()) is False
