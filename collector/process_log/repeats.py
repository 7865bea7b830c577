"""Bounds how often a line is written, so that no fault and no client fills the disk. Left out lines are counted."""

import logging
import time
from collections.abc import Callable
from typing import Final

from collector.process_log.table import event_of

_MINUTE: Final = 60.0
_MOST_LINES: Final = 60
"""Lines of one event a minute and process: more than people read, and 20 MB a day at most."""
_MOST_KEYS: Final = 1000

_Key = tuple[str, ...]


class _Minute:
    """The lines of one key in a minute, and those left out."""

    def __init__(self, begun: float) -> None:
        self.begun = begun
        self.written = 0
        self.left_out = 0


class Repeats(logging.Filter):
    """Lets 60 lines of an event through a minute; of a traceback, and of a fault that lasts, one.

    The next line that is let through has the number of those that were not, as the attribute `left_out`.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """`now` gives seconds."""
        super().__init__()
        self._now = now
        self._minutes: dict[_Key, _Minute] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write this record."""
        key, most = _key_of(record)
        minute = self._minute_of(key)
        if minute.written >= most:
            minute.left_out += 1
            return False
        minute.written += 1
        if minute.left_out:
            record.left_out = minute.left_out
            minute.left_out = 0
        return True

    def _minute_of(self, key: _Key) -> _Minute:
        now = self._now()
        minute = self._minutes.get(key)
        if minute is None:
            if len(self._minutes) >= _MOST_KEYS:
                self._minutes.clear()
            minute = self._minutes[key] = _Minute(now)
        elif now - minute.begun >= _MINUTE:
            minute.begun, minute.written = now, 0
        return minute


def _key_of(record: logging.LogRecord) -> tuple[_Key, int]:
    """What counts as a repetition of a record, and how many of them a minute may have."""
    event = event_of(record)
    name = (type(event).__name__, record.name)
    if record.exc_info and record.exc_info[1]:
        return (*name, *_place_of(record.exc_info[1])), 1
    if event.is_lasting:
        return (*name, str(event)), 1
    return name, _MOST_LINES


def _place_of(error: BaseException) -> _Key:
    """The class of an exception, and the line that raised it."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    return type(error).__name__, place
