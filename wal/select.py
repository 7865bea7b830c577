"""Which events an operator asks for, and how they are printed, pure: lines in, lines out."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from wal.segment import Block

_RELATIVE: Final = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_TOKEN: Final = re.compile(rb'("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d[\d.eE+-]*|true|false|null)')
_LONGEST: Final = 4300
"""Digits that Python makes an integer of; an event may hold any number of them."""
_KEY, _STRING, _OTHER, _PLAIN = (b"\x1b[36m", b"\x1b[32m", b"\x1b[33m", b"\x1b[0m")


class Selection(NamedTuple):
    """What is asked for: commit times in Unix ms, the first sequence, and values by dotted path."""

    since_ms: int = 0
    until_ms: int = 10**13
    from_sequence: int = 0
    where: tuple[tuple[str, str], ...] = ()
    fields: tuple[str, ...] = ()

    def lines(self, block: Block) -> Iterator[bytes]:
        """The lines of a block that are asked for, as they are to be printed, each ending in LF."""
        return (self._shown(line) for _, line in self.chosen(block))

    def chosen(self, block: Block) -> Iterator[tuple[int, bytes]]:
        """The sequences and the lines of a block that are asked for, as they are, each ending in LF."""
        header = block.header
        if not self.since_ms <= header.timestamp_ms < self.until_ms:
            return
        # Not splitlines, to which a CR between two members is the end of a line.
        for sequence, line in enumerate(block.payload.split(b"\n")[:-1], header.sequence):
            if sequence >= self.from_sequence and self._is_chosen(line):
                yield sequence, line + b"\n"

    def _is_chosen(self, line: bytes) -> bool:
        if not self.where:
            return True
        record = json.loads(line, parse_int=_integer)
        return all(_text(_look_up(record, path)) == value for path, value in self.where)

    def _shown(self, line: bytes) -> bytes:
        if not self.fields:
            return line
        record = json.loads(line, parse_int=_integer)
        return ("\t".join(_text(_look_up(record, path)) for path in self.fields) + "\n").encode()


def parse_time(text: str, now_ms: int) -> int:
    """Unix ms of an ISO 8601 time (UTC unless it says otherwise), or of so long ago: 90s, 10m, 2h, 1d.

    Raises ValueError.
    """
    if ago := _RELATIVE.fullmatch(text):
        return now_ms - int(float(ago[1]) * _SECONDS[ago[2]] * 1000)
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time; expected e.g. 2026-01-31T03:00 or 10m") from None
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)


def parse_condition(text: str) -> tuple[str, str]:
    """The path and the value of `path=value`. Raises ValueError."""
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise ValueError(f"{text!r} is no condition; expected e.g. ea=click or dims.category.id=tv")
    return path, value


def coloured(line: bytes) -> bytes:
    """A line of JSON with its keys, strings and other values in the colours of a terminal."""
    return _TOKEN.sub(_colour, line)


def _colour(token: re.Match[bytes]) -> bytes:
    if token[3]:
        return _OTHER + token[3] + _PLAIN
    return (_KEY if token[2] else _STRING) + token[1] + _PLAIN + (token[2] or b"")


def _look_up(record: Any, path: str) -> Any:
    """The value at a dotted path of the record or, if it has none there, of its event; None if neither has."""
    for root in (record, record.get("event")):
        try:
            value = root
            for name in path.split("."):
                value = value[int(name)] if isinstance(value, list) else value[name]
        except (KeyError, IndexError, TypeError, ValueError):
            continue
        return value
    return None


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= _LONGEST else digits


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
