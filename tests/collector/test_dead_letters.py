"""Dead letters: whole, durable, under a budget of bytes an hour."""

import asyncio
import errno
import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from collector.dead_letters import DeadLetters, Form, Refused, Sender
from collector.errors import BadEvent, Fault, TooLarge
from tests.collector.live_log import live_log
from tests.running import read_log
from wal.files import Files

HOUR_MS = 3_600_000
NOW_MS = 500_000 * HOUR_MS
SENDER = Sender(33167, 2, NOW_MS - 5, "127.0.0.1", "agent/1", None, is_s2s=False)
ERROR = BadEvent("the event is not as it must be", (Fault("ea", "missing"), Fault("sid", "expected `int` >= 0")))


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


def _refused(raw: bytes, form: Form = Form.JSON) -> Refused:
    return Refused(ERROR, form, raw)


def _kept(folder: Path, *raws: bytes, bytes_per_hour: int = 1 << 20) -> tuple[list[bool], list[dict[str, Any]]]:
    """What `put` said of each, and the letters in the log."""

    async def put() -> list[bool]:
        async with live_log(folder / "00") as committer:
            dead_letters = DeadLetters(committer, bytes_per_hour, Clock())
            return [await dead_letters.put(SENDER, [_refused(raw)]) for raw in raws]

    return asyncio.run(put()), read_log(folder)


def _length(folder: Path) -> int:
    """Bytes of the letter for `{}`."""
    _, (letter,) = _kept(folder / "measured", b"{}")
    return len(json.dumps(letter, separators=(",", ":"))) + 1


def test_a_letter_holds_the_raw_bytes_and_the_reason(tmp_path: Path) -> None:
    said, (letter,) = _kept(tmp_path, b'{"sid":-1}')
    assert said == [True]
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
        "reason": "the event is not as it must be",
        "errors": [{"field": "ea", "message": "missing"}, {"field": "sid", "message": "expected `int` >= 0"}],
        "form": "json",
        "encoding": "utf-8",
        "raw": '{"sid":-1}',
    }


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
    folder: Path, refused: list[Refused], bytes_per_hour: int = 64 << 20
) -> tuple[bool, list[dict[str, Any]]]:
    """What `put` said of all of them at once, and the letters in the log."""

    async def put() -> bool:
        async with live_log(folder / "00") as committer:
            return await DeadLetters(committer, bytes_per_hour, Clock()).put(SENDER, refused)

    return asyncio.run(put()), read_log(folder)


def test_several_letters_are_kept_together_each_with_its_id_reason_and_form(tmp_path: Path) -> None:
    long = Refused(TooLarge("too long"), Form.QUERY, b"ea=x&ec=%")
    said, letters = _kept_together(tmp_path, [_refused(b"{}"), long, _refused(b"\xff")])
    assert said
    assert [letter["id"].partition("-")[2] for letter in letters] == ["1", "2", "3"]
    assert [(letter["reason"], letter["form"]) for letter in letters] == [
        (ERROR.message, "json"),
        ("too long", "query"),
        (ERROR.message, "json"),
    ]


PART = 256 << 10


@pytest.mark.parametrize(
    ("raw", "sizes"),
    [
        (b"x" * PART, [PART]),
        (b"x" * (PART + 1), [PART, 1]),
        ("é".encode() * PART + b"\xff", [PART, PART, 1]),
        (b"\x00" * (6 * PART), [PART] * 6),
    ],
)
def test_a_large_body_is_kept_in_parts_that_make_it_whole_again(tmp_path: Path, raw: bytes, sizes: list[int]) -> None:
    said, letters = _kept_together(tmp_path, [_refused(raw)])
    parts = [
        b64decode(letter["raw"]) if letter["encoding"] == "base64" else letter["raw"].encode() for letter in letters
    ]
    assert said
    assert [len(part) for part in parts] == sizes
    assert b"".join(parts) == raw
    assert len({letter["id"] for letter in letters}) == len(sizes)
    numbers = [(letter.get("part"), letter.get("of")) for letter in letters]
    assert numbers == ([(None, None)] if len(sizes) == 1 else [(at + 1, len(sizes)) for at in range(len(sizes))])


def test_a_whole_batch_of_refused_events_is_kept_though_its_letters_are_more_than_one_append_takes(
    tmp_path: Path,
) -> None:
    said, letters = _kept_together(tmp_path, [_refused(b"x" * 16_000)] * 600)
    assert said
    assert [letter["id"].partition("-")[2] for letter in letters] == [str(number) for number in range(1, 601)]


def test_letters_that_are_over_the_budget_together_are_kept_as_far_as_it_goes(tmp_path: Path) -> None:
    budget = 2 * _length(tmp_path) + 10
    said, letters = _kept_together(tmp_path / "log", [_refused(b"{}")] * 3, budget)
    assert not said
    assert len(letters) == 2


def test_letters_over_the_budget_of_an_hour_are_refused_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    budget = 2 * _length(tmp_path) + 10
    said, letters = _kept(tmp_path / "log", *[b"{}"] * 5, bytes_per_hour=budget)
    assert said == [True, True, False, False, False]
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
        said = []
        async with live_log(tmp_path / "log" / "00") as committer:
            dead_letters = DeadLetters(committer, budget, clock)
            for minutes in (0, 60, 61, 119, 120):
                clock.now_ms = NOW_MS + minutes * 60_000
                said.append(await dead_letters.put(SENDER, [_refused(b"{}")]))
        return said

    assert asyncio.run(put()) == [True, True, False, False, True]
    assert len(read_log(tmp_path / "log")) == 3


def test_a_full_disk_is_told_and_not_raised(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def put() -> bool:
        async with live_log(tmp_path / "00", files=FullDisk()) as committer:
            return await DeadLetters(committer, 1 << 20, Clock()).put(SENDER, [_refused(b"{}")])

    assert asyncio.run(put()) is False
    assert "not kept" in caplog.text
    assert read_log(tmp_path) == []


def test_a_closed_log_is_told_and_not_raised(tmp_path: Path) -> None:
    async def put() -> bool:
        async with live_log(tmp_path / "00") as committer:
            await committer.close()
            return await DeadLetters(committer, 1 << 20, Clock()).put(SENDER, [_refused(b"{}")])

    assert asyncio.run(put()) is False
