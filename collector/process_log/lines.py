"""How a line of the process log looks, as text and as JSON. Times are UTC in milliseconds, RFC 3339."""

import json
import logging
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from msgspec.structs import asdict

from collector.process_log.event import name_of
from collector.process_log.table import event_of
from wal.tools.terminal import harmless

_MOST_CHARACTERS: Final = 8_000
"""Of a field, a message or a traceback. Longer texts come from libraries and from outside."""


class TextLines(logging.Formatter):
    """`2026-01-31T03:00:00.123Z WARNING [4711] sink_down: sink kafka: …`. A traceback is more lines, indented."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        event = event_of(record)
        left_out = f" ({record.left_out} more were left out before)" if hasattr(record, "left_out") else ""
        where = f"{utc_with_ms(record.created)} {record.levelname} [{record.process}]"
        line = f"{where} {name_of(type(event))}: {_shortened(str(event))}{left_out}"
        return "\n".join([line, *(f"    {harmless(text)}" for text in _traceback_of(record).splitlines())])


class JsonLines(logging.Formatter):
    """An object a line: `time`, `level`, `event`, `pid`, `message`, and the fields of the event."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        event = event_of(record)
        members: dict[str, Any] = {
            "time": utc_with_ms(record.created),
            "level": record.levelname.lower(),
            "event": name_of(type(event)),
            "pid": record.process,
            "message": _shortened(str(event)),
            **{name: _clean(value) for name, value in asdict(event).items() if value is not None},
        }
        if hasattr(record, "left_out"):
            members["left_out"] = record.left_out
        if text := _traceback_of(record):
            members["exception"] = _clean(text)
        return json.dumps(members)


def utc_with_ms(seconds: float) -> str:
    """A Unix time as `2026-01-31T03:00:00.123Z`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _clean(value: Any) -> Any:
    """A value without lone surrogates, which strict parsers of JSON refuse, and not longer than a line should be."""
    if isinstance(value, str):
        return _shortened(value).encode("utf-8", "backslashreplace").decode()
    if isinstance(value, tuple):
        return [_clean(element) for element in _first(value)]
    return value


def _first(values: tuple[Any, ...]) -> Iterator[Any]:
    """The first element, and as many more as a line should have; then the number of those left out."""
    characters = 0
    for at, value in enumerate(values):
        characters += len(str(value))
        if at and characters > _MOST_CHARACTERS:
            yield f"… and {len(values) - at} more"
            return
        yield value


def _shortened(text: str) -> str:
    """The text, or the end of a text that is too long: there a traceback names its error."""
    return text if len(text) <= _MOST_CHARACTERS else f"… {text[-_MOST_CHARACTERS:]}"


def _traceback_of(record: logging.LogRecord) -> str:
    text = "".join(traceback.format_exception(record.exc_info[1])).rstrip() if record.exc_info else ""
    return _shortened(text)
