"""Selection of events, and their form in print. Pure: lines in, lines out."""

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from wal.segment import Block
from wal.tools.terminal import decoded, harmless

_RELATIVE: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?([smhd])(?: ago)?")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_UNIX_MS: Final = re.compile("[0-9]{13}")
_UNIX_SECONDS: Final = re.compile("[0-9]{10}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TOKEN: Final = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?|(-?[0-9][0-9.eE+-]*|true|false|null)')
_INDEX: Final = re.compile("[0-9]{1,9}")
_LONGEST: Final = 4300
"""Most digits that Python converts to an integer. An event may have more; they stay text."""
_KEY, _STRING, _OTHER, _PLAIN = ("\x1b[36m", "\x1b[32m", "\x1b[33m", "\x1b[0m")

_EVENT_ID: Final = re.compile("([0-9a-f]{16})-(0|[1-9][0-9]{0,15})")

OnUnreadable = Callable[[int], None]
"""Called with the sequence of a line that is not a JSON object, if its values were needed."""


class EventId(NamedTuple):
    """The id of an event: its log and its sequence there. Its string is the `id` of a record."""

    log_id: bytes
    sequence: int

    def __str__(self) -> str:
        return f"{self.log_id.decode()}-{self.sequence}"


class Selection(NamedTuple):
    """Criteria: commit times in Unix ms, the first sequence, and values by dotted path. `fields` are paths to print.

    `ends` freezes a selection: it has the first sequence after it of each log, by log id. Other logs have nothing then.
    """

    since_ms: int = 0
    until_ms: int = 10**13
    from_sequence: int = 0
    where: tuple[tuple[str, str], ...] = ()
    fields: tuple[str, ...] = ()
    ends: tuple[tuple[bytes, int], ...] = ()

    @property
    def event_id(self) -> EventId | None:
        """The id of the only event that can match, if `where` names one; its place in its log follows from it."""
        for path, value in self.where:
            if path == "id" and (match := _EVENT_ID.fullmatch(value)):
                return EventId(match[1].encode(), int(match[2]))
        return None

    def last_sequence(self, log_id: bytes) -> int:
        """The last sequence of a log that can match."""
        event = self.event_id
        last = event.sequence if event and event.log_id == log_id else sys.maxsize
        return min(last, dict(self.ends).get(log_id, 0) - 1) if self.ends else last

    def lines(self, block: Block, on_unreadable: OnUnreadable = lambda _: None) -> Iterator[bytes]:
        """The selected lines of a block in their printed form, each ending in LF.

        Without `fields` a line is printed as it is. With `fields` it becomes their values, separated by tabs. A line
        that is not a JSON object gets empty columns, so that there is always one line per event.
        """
        for sequence, line in self.chosen(block, on_unreadable):
            yield self._columns(sequence, line, on_unreadable) if self.fields else line

    def chosen(self, block: Block, on_unreadable: OnUnreadable = lambda _: None) -> Iterator[tuple[int, bytes]]:
        """The sequences and the unchanged lines of a block that are selected, each line ending in LF.

        A line that is not a JSON object never matches `where`.
        """
        header = block.header
        if not self.since_ms <= header.timestamp_ms < self.until_ms:
            return
        last = self.last_sequence(header.log_id)
        # Not splitlines: it would also split at a CR between two members.
        for sequence, line in enumerate(block.payload.split(b"\n")[:-1], header.sequence):
            if self.from_sequence <= sequence <= last and self._is_chosen(sequence, line, on_unreadable):
                yield sequence, line + b"\n"

    def has_values_of(self, line: bytes) -> bool:
        """Whether a line has the values of `where`. One that is not a JSON object has none."""
        return not self.where or values(line, [path for path, _ in self.where]) == [value for _, value in self.where]

    def _is_chosen(self, sequence: int, line: bytes, on_unreadable: OnUnreadable) -> bool:
        if not self.where:
            return True
        found = values(line, [path for path, _ in self.where])
        if found is None:
            on_unreadable(sequence)
        return found == [value for _, value in self.where]

    def _columns(self, sequence: int, line: bytes, on_unreadable: OnUnreadable) -> bytes:
        found = _shown_values(line, self.fields, _column)
        if found is None:
            on_unreadable(sequence)
        return ("\t".join(found or [""] * len(self.fields)) + "\n").encode()


def parse_time(text: str, now_ms: int) -> int:
    """Parse a time to Unix ms: RFC 3339 (UTC if it has no offset), 13 digits of Unix ms, or 90s, 10m, 2h, "1d ago".

    Raises ValueError.
    """
    if ago := _RELATIVE.fullmatch(text):
        return now_ms - int(float(ago[1]) * _SECONDS[ago[2]] * 1000)
    if _UNIX_MS.fullmatch(text):
        return int(text)
    if _UNIX_SECONDS.fullmatch(text):
        raise ValueError(f"{text!r} looks like Unix seconds; expected Unix ms, e.g. {text}000")
    try:
        time = datetime.fromisoformat(text.upper())
    except ValueError:
        raise ValueError(f"{text!r} is not a time; expected e.g. 2026-01-31T03:00Z, 10m or Unix ms") from None
    # Not timestamp(): a float times 1,000 is a ms too little for some times.
    return ((time if time.tzinfo else time.replace(tzinfo=UTC)) - _EPOCH) // timedelta(milliseconds=1)


def parse_condition(text: str) -> tuple[str, str]:
    """The path and the value of `path=value`. Raises ValueError."""
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise ValueError(f"{text!r} is not a condition; expected e.g. ea=click or dims.category.id=tv")
    return path, value


def parse_end(text: str) -> tuple[bytes, int]:
    """The log id and the sequence of `LOG=SEQ`. Raises ValueError."""
    log_id, _, sequence = text.partition("=")
    match = _EVENT_ID.fullmatch(f"{log_id}-{sequence}")
    if match is None:
        raise ValueError(f"{text!r} is not the end of a log; expected e.g. 3f9c2a7100112233=8813")
    return match[1].encode(), int(match[2])


def values(line: bytes, paths: Sequence[str]) -> list[str] | None:
    """The values of a line at these paths, as text; None if it is not a JSON object, or nested too deeply.

    A string is its own text, another value is JSON, and a value that is not there is `null`.
    """
    return _shown_values(line, paths, _text)


def coloured(line: str) -> str:
    """Colour the keys, strings and other values of a line of JSON for a terminal."""
    return _TOKEN.sub(_colour, line)


def _colour(token: re.Match[str]) -> str:
    if token[3]:
        return _OTHER + token[3] + _PLAIN
    return (_KEY if token[2] else _STRING) + token[1] + _PLAIN + (token[2] or "")


def _shown_values(line: bytes, paths: Sequence[str], shown: Callable[[Any], str]) -> list[str] | None:
    try:
        record = _decoded_json(decoded(line))
        return [shown(_look_up(record, path)) for path in paths] if isinstance(record, dict) else None
    except (ValueError, RecursionError):
        return None


def _decoded_json(text: str) -> Any:
    """Decode JSON. A function for each integer takes as long as all the rest, so it is called only where it must be."""
    try:
        return json.loads(text, strict=False)
    except ValueError:
        return json.loads(text, parse_int=_integer, strict=False)


def _look_up(record: dict[str, Any], path: str) -> Any:
    """The value at a dotted path, in the record or else in its event; None if neither has one."""
    for root in (record, record.get("event")):
        try:
            value = root
            for name in path.split("."):
                value = _member(value, name)
        except (KeyError, IndexError, TypeError):
            continue
        return value
    return None


def _member(value: Any, name: str) -> Any:
    """A member of an object, or an element of an array by its index from 0. Raises KeyError, IndexError, TypeError."""
    if not isinstance(value, list):
        return value[name]
    if not _INDEX.fullmatch(name):
        raise KeyError(name)
    return value[int(name)]


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= _LONGEST else digits


def _column(value: Any) -> str:
    """A value that stays one column: a string with escapes and doubled backslashes, or JSON."""
    return harmless(value.replace("\\", "\\\\") if isinstance(value, str) else _text(value))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
