"""The lines of the process log, as text and as JSON."""

import json
import logging
import sys
from typing import Any

import pytest

from collector.process_log.event import ProcessLogEvent
from collector.process_log.lines import JsonLines, TextLines
from collector.process_log.of_processes import Ready, ReloadRefused, WorkersKilled
from collector.process_log.of_requests import ConnectionBug, SheddingBegan, UnknownProperty
from collector.process_log.of_shards import TornWriteCut
from collector.process_log.of_sinks import SinkDown
from collector.process_log.repeats import Repeats

_HOSTILE = 'a\n2026-01-31T03:00:00.123Z INFO [1] ready: b\r\x1b[31m\u202e\x9b"\udcff'


def _record(message: object, *arguments: object, name: str = "collector", level: int = 0) -> logging.LogRecord:
    level = level or (message.level if isinstance(message, ProcessLogEvent) else logging.WARNING)
    record = logging.LogRecord(name, level, "", 0, message, arguments, None)
    record.created, record.process = 1_769_828_400.1234, 4711
    return record


def _json(record: logging.LogRecord) -> dict[str, Any]:
    line = JsonLines().format(record)
    assert line.isascii()
    assert line.isprintable()
    members = json.loads(line)
    assert isinstance(members, dict)
    return members


def _raised(error: Exception) -> logging.LogRecord:
    record = _record(ConnectionBug())
    try:
        raise error
    except Exception:
        record.exc_info = sys.exc_info()
    return record


def test_a_line_of_text_has_time_in_utc_level_process_event_and_message() -> None:
    assert TextLines().format(_record(Ready("http://127.0.0.1:8080", 1, "http://127.0.0.1:8081"))) == (
        "2026-01-31T03:00:00.123Z INFO [4711] ready: serving on http://127.0.0.1:8080 with 1 worker, "
        "admin address http://127.0.0.1:8081, Ctrl-C stops"
    )


def test_a_line_of_json_has_the_same_and_each_field() -> None:
    assert _json(_record(SinkDown("kafka", "away", 12.34))) == {
        "time": "2026-01-31T03:00:00.123Z",
        "level": "warning",
        "event": "sink_down",
        "pid": 4711,
        "message": "sink kafka: away; down, again in 12.3 s",
        "sink": "kafka",
        "error": "away",
        "pause_seconds": 12.34,
    }


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (WorkersKilled("late", 2, (7, 8)), "late: killed 2 workers (7, 8); "),
        (SheddingBegan({"the log is full": 3, "stall": 1}), "shed with 503: 3 (the log is full), 1 (stall)"),
        (UnknownProperty("1/2", 4, None), "unknown property 1/2: 4"),
        (UnknownProperty("1/2", 4, 60.0), "unknown property 1/2: 4 more in 60 s"),
        (TornWriteCut("seg", 9, 512, "kept"), "seg: a crash left a torn write of 9 bytes at byte 512"),
    ],
)
def test_lists_counts_and_numbers_read_as_words_in_the_message_and_stay_values_in_json(
    event: ProcessLogEvent, message: str
) -> None:
    members = _json(_record(event))
    assert message in members["message"]
    for field in event.__struct_fields__:
        value = getattr(event, field)
        if value is None:
            assert field not in members
        else:
            assert members[field] == (list(value) if isinstance(value, tuple) else value)


def test_hostile_text_breaks_no_line_and_commands_no_terminal() -> None:
    record = _record(SinkDown("kafka", _HOSTILE, 1.0))
    line = TextLines().format(record)
    assert line.isprintable()
    assert line.encode().count(b"[1] ready") == 1
    assert "a\\n2026-01-31" in line
    members = _json(record)
    assert members["error"] == _HOSTILE.replace("\udcff", "\\udcff"), "whole, but for what is not Unicode"
    assert members["message"].isprintable()


def test_what_is_very_long_keeps_its_end() -> None:
    record = _record(SinkDown("kafka", "a" * 100_000 + "the end", 1.0))
    assert len(TextLines().format(record)) < 9_000
    members = _json(record)
    assert len(json.dumps(members)) < 17_000
    assert members["error"].endswith("athe end")


def test_a_traceback_is_indented_lines_of_text_and_one_member_of_json() -> None:
    record = _raised(ValueError("one\n2026-01-31T03:00:00.123Z INFO [1] ready: \x1b"))
    first, *others = TextLines().format(record).split("\n")
    assert first.endswith(" ERROR [4711] connection_bug: bug in the collector: connection closed")
    assert others[0] == "    Traceback (most recent call last):"
    assert all(line.startswith("    ") and line.isprintable() for line in others)
    exception = _json(record)["exception"]
    assert exception.startswith("Traceback (most recent call last):\n")
    assert "ValueError: one\n2026" in exception


def test_lines_of_libraries_and_of_the_log_itself_have_the_same_form() -> None:
    library = _json(_record("Task %s was\ndestroyed", "t", name="asyncio", level=logging.ERROR))
    assert (library["event"], library["level"], library["logger"]) == ("library", "error", "asyncio")
    assert (library["line"], library["message"]) == ("Task t was\ndestroyed", "Task t was\\ndestroyed")
    low = _json(_record("%s: %s", "data/log/00", "only 800 bytes are free on this disk", name="wal.room_watch"))
    assert (low["event"], low["log"], low["room"]) == (
        "disk_low",
        "data/log/00",
        "only 800 bytes are free on this disk",
    )
    damaged = _json(_record("%s", ValueError("cursors/file.json: damaged"), name="wal.recovery"))
    assert (damaged["event"], damaged["damage"]) == ("cursor_damaged", "cursors/file.json: damaged")


def test_lines_that_were_left_out_are_counted_in_the_next_one() -> None:
    record = _record(SinkDown("kafka", "away", 1.0))
    record.left_out = 40
    assert TextLines().format(record).endswith("again in 1.0 s (40 more were left out before)")
    assert _json(record)["left_out"] == 40


class _Unprintable:
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize("arguments", [("%d of %s", "x"), ("%s", _Unprintable()), (_Unprintable(),)])
def test_a_library_whose_line_cannot_be_formatted_goes_on(arguments: tuple[object, ...]) -> None:
    record = _record(arguments[0], *arguments[1:], name="library")
    assert Repeats().filter(record)
    assert "can't be formatted" in _json(record)["message"]


def test_lists_hold_no_lone_surrogate_and_no_more_than_a_line_should() -> None:
    faults = _json(_record(ReloadRefused("c.toml", ("a\udcff", *("x" * 5000 for _ in range(100))))))["faults"]
    assert faults == ["a\\udcff", "x" * 5000, "… and 99 more"]
