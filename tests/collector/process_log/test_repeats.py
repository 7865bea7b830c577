"""No fault fills the disk with lines: what repeats is counted."""

import logging
import sys

from collector.process_log.event import ProcessLogEvent
from collector.process_log.of_requests import ConnectionBug
from collector.process_log.of_shards import DropFailed
from collector.process_log.of_sinks import SinkDown, SinkUp
from collector.process_log.repeats import Repeats


class _Minutes:
    """A process log whose clock stands until `at` is set, in seconds."""

    def __init__(self) -> None:
        self.at = 0.0
        self._repeats = Repeats(lambda: self.at)

    def write(self, event: ProcessLogEvent | str, error: Exception | None = None) -> int | None:
        """None if the line is left out, else how many were left out before it."""
        record = logging.LogRecord("collector" if not isinstance(event, str) else "library", 30, "", 0, event, (), None)
        if error:
            record.exc_info = (type(error), error, error.__traceback__)
        return getattr(record, "left_out", 0) if self._repeats.filter(record) else None


def _raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception:
        caught = sys.exc_info()[1]
        assert isinstance(caught, Exception)
        return caught


def test_an_event_has_sixty_lines_a_minute_and_then_the_count_of_the_others() -> None:
    log = _Minutes()
    written = [log.write(SinkDown("kafka", str(number), 1.0)) for number in range(100)]
    assert written == [0] * 60 + [None] * 40
    assert log.write(SinkUp("kafka", 1)) == 0, "another event has its own"
    log.at = 59.9
    assert log.write(SinkDown("kafka", "away", 1.0)) is None
    log.at = 60.0
    assert [log.write(SinkDown("kafka", "away", 1.0)) for _ in range(2)] == [41, 0]


def test_a_fault_that_lasts_is_logged_once_a_minute_and_a_change_of_it_at_once() -> None:
    log = _Minutes()
    written = [log.write(DropFailed("data/log/00", fault)) for fault in ("EIO", "EIO", "EROFS", "EIO")]
    assert written == [0, None, 0, None]
    log.at = 60.0
    assert log.write(DropFailed("data/log/00", "EIO")) == 2


def test_a_traceback_is_logged_once_a_minute_for_each_place() -> None:
    log = _Minutes()
    first, same = (_raised(ValueError(text)) for text in ("one", "another"))
    other = _raised(KeyError("one"))
    assert [log.write(ConnectionBug(), place) for place in (first, same, other, other)] == [0, None, 0, None]
    log.at = 61.0
    assert log.write(ConnectionBug(), first) == 1


def test_lines_of_a_library_are_bounded_too() -> None:
    log = _Minutes()
    assert [log.write(f"line {number}") for number in range(61)][-2:] == [0, None]


def test_what_is_held_in_memory_is_bounded() -> None:
    log = _Minutes()
    for number in range(5_000):
        assert log.write(DropFailed("data/log/00", str(number))) == 0
    assert len(log._repeats._minutes) <= 1000
