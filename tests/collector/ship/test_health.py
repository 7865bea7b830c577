"""The health of a sink: what it counts as up, retrying and down, what it says of it, and what stays on the disk."""

import logging
import os
from pathlib import Path

import pytest

from collector.errors import SinkError
from collector.ship.health import Health, SinkHealth, State, is_given_up, load_health, open_health, save_health
from collector.ship.retry import Backoff


def test_a_sink_is_down_after_five_failures_in_a_row_and_up_after_one_success() -> None:
    sink_health = SinkHealth("kafka")
    states = []
    for _ in range(6):
        sink_health.failed(SinkError("away"))
        states.append(sink_health.health.state)
    assert states == ["retrying"] * 4 + ["down"] * 2
    sink_health.succeeded()
    assert (sink_health.health.state, sink_health.health.error) == ("up", "away"), "the last error is kept"
    sink_health.failed(SinkError("away"))
    assert sink_health.health.state == "retrying"


def test_each_change_of_a_sinks_state_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    sink_health = SinkHealth("kafka")
    for milliseconds in range(20):
        sink_health.failed(SinkError(f"no answer after {milliseconds} ms"))
    sink_health.failed(SinkError("not allowed"))
    sink_health.succeeded()
    sink_health.succeeded()
    messages = [message.partition(", again in")[0] for message in caplog.messages]
    assert messages == [
        "sink kafka: no answer after 0 ms; retrying",
        "sink kafka: no answer after 4 ms; down",
        "sink kafka: up again after 21 failures",
    ]


def test_failures_are_counted_whatever_becomes_of_the_sink() -> None:
    sink_health = SinkHealth("kafka")
    for _ in range(6):
        sink_health.failed(SinkError("no answer"))
    sink_health.succeeded()
    sink_health.waits("an attempt", 11.0)
    sink_health.failed(SinkError("no answer"))
    sink_health.stopped(ValueError("no"))
    assert sink_health.health.failures == 7


def test_a_sink_that_hangs_is_shown_as_waiting_once_and_since_the_attempt_began(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sink_health = SinkHealth("kafka")
    before = sink_health.health
    for seconds in (12.0, 14.0, 16.0):
        sink_health.waits("events 5 to 9", seconds)
    health = sink_health.health
    assert (health.state, health.error) == ("waiting", "no answer yet to events 5 to 9")
    assert health.since_ms < before.since_ms
    assert caplog.messages == ["sink kafka: no answer yet to events 5 to 9, for 12 s now"]
    sink_health.succeeded()
    assert (sink_health.health.state, sink_health.health.error) == ("up", "")


def test_a_sink_that_fails_and_then_hangs_keeps_its_state_and_says_both(caplog: pytest.LogCaptureFixture) -> None:
    sink_health = SinkHealth("kafka")
    for _ in range(3):
        sink_health.failed(SinkError("no answer in 30 s"))
        assert (sink_health.health.state, sink_health.health.error) == ("retrying", "no answer in 30 s")
        for seconds in (12.0, 14.0):
            sink_health.waits("events 5 to 9", seconds)
            health = sink_health.health
            assert (health.state, health.error) == (
                "retrying",
                "no answer yet to events 5 to 9; before: no answer in 30 s",
            )
    assert len(caplog.messages) == 1, "a failure that is no news is not told again"
    sink_health.succeeded()
    assert (sink_health.health.state, sink_health.health.error) == ("up", "no answer in 30 s")


def test_a_sink_that_stopped_and_starts_again_is_not_up_before_it_succeeds() -> None:
    sink_health = SinkHealth("kafka")
    sink_health.stopped(ZeroDivisionError())
    assert (sink_health.health.state, sink_health.health.error) == ("stopped", "ZeroDivisionError()")
    states = []
    for change in (sink_health.restarted, sink_health.succeeded):
        change()
        states.append(sink_health.health.state)
    assert states == ["retrying", "up"]


def test_since_when_counts_the_state_and_not_its_last_error() -> None:
    sink_health = SinkHealth("kafka")
    for _ in range(5):
        sink_health.failed(SinkError("away"))
    since = sink_health.health.since_ms
    sink_health.failed(SinkError("not allowed"))
    assert (sink_health.health.since_ms, sink_health.health.error) == (since, "not allowed")


@pytest.mark.parametrize(
    ("state", "seconds", "expected"),
    [
        ("up", 3600, False),
        ("waiting", 29, False),
        ("waiting", 30, True),
        ("retrying", 29, False),
        ("retrying", 30, True),
        ("down", 0, True),
        ("stopped", 0, True),
    ],
)
def test_a_sink_is_given_up_when_it_is_down_or_long_not_up(state: State, seconds: int, expected: bool) -> None:
    assert is_given_up(Health(state, 1000), 1000 + 1000 * seconds) is expected


def test_pauses_grow_to_a_cap_with_jitter_and_never_under_what_the_sink_asks_for() -> None:
    backoff = Backoff()
    pauses = [backoff.next() for _ in range(2000)]
    assert all(0.05 <= pause <= 0.1 for pause in pauses[:1])
    assert all(15 <= pause <= 30 for pause in pauses[10:])
    assert len({round(pause, 3) for pause in pauses[10:]}) > 1000
    assert backoff.next(45.0) == 45.0
    backoff.reset()
    assert backoff.next() <= 0.1


def test_health_is_read_as_it_was_saved_and_none_where_there_is_none(tmp_path: Path) -> None:
    assert load_health(str(tmp_path), "kafka") is None
    (tmp_path / "sinks").mkdir()
    descriptor = open_health(str(tmp_path), "kafka")
    try:
        for error in ("away for a long time", "away", "", "\x01" * 500):
            saved = Health("down", 1_700_000_000_000, error)
            save_health(descriptor, saved)
            assert load_health(str(tmp_path), "kafka") == saved
        for letter in ("\x01", "😀", "a"):
            save_health(descriptor, Health("down", 0, letter * 5000))
            assert load_health(str(tmp_path), "kafka") == Health("down", 0, letter * 500)
            assert (tmp_path / "sinks/kafka.json").stat().st_size == 4000
    finally:
        os.close(descriptor)
    (tmp_path / "sinks/kafka.json").write_text("{")
    assert load_health(str(tmp_path), "kafka") is None
