"""Filters of rows, pure: equality of fields, and a text that the line holds. Nothing of a filter is ever run as code.

A filter on a field that `admin.redact` hides is refused: which rows match would give its value away. The text is
searched in the redacted line, for the same reason.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from collector.errors import Refusal, Rejected
from collector.ops.console.rows import KINDS, MOST_CHARACTERS, EventRow

EQUALITIES: Final = ("kind", "property", "source", "dialect", "ea", "ec", "uid")
"""Parameters that are compared with the field of the same name."""
PARAMETERS: Final = (*EQUALITIES, "q")
_MEMBERS: Final = {"kind": (), "property": ("portal_id", "prop_id"), "q": ()}
"""The members of a record behind a parameter, where they have other names."""


class Filters(Struct, frozen=True):
    """What rows must have: `equal` maps fields to values, `needles` are the forms of a text of which one must occur."""

    equal: tuple[tuple[str, str], ...] = ()
    needles: tuple[bytes, ...] = ()

    def select(self, rows: Sequence[EventRow]) -> list[EventRow]:
        """The rows whose fields match, in order. The text is not searched here: rows do not hold their line."""
        found = list(rows)
        for field, value in self.equal:
            found = [row for row in found if getattr(row, field) == value]
        return found

    def is_in(self, line: bytes) -> bool:
        """Whether a line holds the text."""
        return any(needle in line for needle in self.needles)


def parse_filters(query: Mapping[str, str], hides: Callable[[str], bool]) -> Filters:
    """The filters of a query; an empty value is no filter. `hides`: whether `admin.redact` hides a member.

    Raises Rejected.
    """
    asked = {name: query[name] for name in PARAMETERS if query.get(name)}
    for name, value in asked.items():
        if len(value) > MOST_CHARACTERS:
            raise _bad(f"{name}: expected at most {MOST_CHARACTERS} characters, got {len(value)}")
        if any(map(hides, _MEMBERS.get(name, (name,)))):
            message = f"{name} is hidden by admin.redact; a filter on it would give its values away"
            raise Rejected.of(Refusal("redacted", message))
    if asked.get("kind", KINDS[0]) not in KINDS:
        raise _bad(f"kind: expected one of {', '.join(KINDS)}")
    text = asked.pop("q", "")
    return Filters(tuple(asked.items()), _needles(text) if text else ())


def _needles(text: str) -> tuple[bytes, ...]:
    """The forms that a text may have in JSON: as it stands, escaped where JSON must, and escaped to ASCII."""
    plain = text.encode(errors="replace")
    escaped = msgspec.json.encode(plain.decode())[1:-1]
    lower, upper = (_to_ascii(escaped.decode(), form) for form in (b"\\u%04x", b"\\u%04X"))
    return tuple(dict.fromkeys((plain, escaped, lower, upper)))


def _to_ascii(text: str, form: bytes) -> bytes:
    """Text with `form` for each UTF-16 unit of what is not ASCII, as the encoders of many languages write it."""
    parts = []
    for character in text:
        units = character.encode("utf-16-be")
        pairs = zip(units[::2], units[1::2], strict=True)
        parts += [character.encode()] if character.isascii() else [form % (high << 8 | low) for high, low in pairs]
    return b"".join(parts)


def _bad(message: str) -> Rejected:
    return Rejected.of(Refusal("bad_parameter", message))
