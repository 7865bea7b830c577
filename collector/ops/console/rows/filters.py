"""Filters of rows, pure: equality of fields, and a text that the line holds. Nothing of a filter is ever run as code.

A filter on a field that `admin.redact` hides is refused: which rows match would give its value away. The text is
searched in the redacted line, for the same reason.
"""

from collections.abc import Callable, Sequence
from typing import Final, Literal

import msgspec
from msgspec import Struct

from collector.ops.console.api.refusals import refused
from collector.ops.console.rows.rows import DAMAGED, EventRow

_EQUALITIES: Final = ("kind", "property", "source", "dialect", "ea", "ec", "uid")
_PLAIN: Final = ("dialect", "event")
"""Selects the rows of `/event`, which have no dialect."""
_MEMBERS: Final = {"kind": (), "property": ("portal_id", "prop_id")}
"""The members of a record behind a parameter, where they have other names."""


class FilterParameters(Struct, frozen=True):
    """The parameters of filters: each is compared with the field of the same name, but for the text `q`."""

    kind: Literal["stored", "rejected", "dead", "duplicate", "damaged"] | None = None
    property: str | None = None
    source: str | None = None
    dialect: str | None = None
    ea: str | None = None
    ec: str | None = None
    uid: str | None = None
    q: str | None = None


class Filters(Struct, frozen=True):
    """The conditions on rows: `equal` maps fields to values, one of `needles`, the forms of a text, must occur."""

    equal: tuple[tuple[str, str], ...] = ()
    needles: tuple[bytes, ...] = ()

    def select(self, rows: Sequence[EventRow]) -> list[EventRow]:
        """The rows whose fields match, in order. The text is not searched here: rows do not hold their line."""
        found = list(rows)
        for field, value in self.equal:
            if (field, value) == _PLAIN:
                found = [row for row in found if row.dialect is None and row.kind != DAMAGED]
            else:
                found = [row for row in found if getattr(row, field) == value]
        return found

    def is_in(self, line: bytes) -> bool:
        """Whether a line holds the text."""
        return any(needle in line for needle in self.needles)


def filters_of(parameters: FilterParameters, hides: Callable[[str], bool]) -> Filters:
    """The filters that a query asks for. `hides`: whether `admin.redact` hides a member. Raises Rejected."""
    equal = tuple((name, value) for name in _EQUALITIES if (value := getattr(parameters, name)) is not None)
    for name, _ in equal:
        if any(map(hides, _MEMBERS.get(name, (name,)))):
            raise refused("redacted", f"{name} is hidden by admin.redact; a filter on it would give its values away")
    return Filters(equal, _needles(parameters.q) if parameters.q else ())


def _needles(text: str) -> tuple[bytes, ...]:
    """The forms that a text may have in JSON: as it stands, escaped where JSON must, and escaped to ASCII."""
    plain = text.encode(errors="replace")
    escaped = msgspec.json.encode(plain.decode())[1:-1]
    lower, upper = (_to_ascii(escaped.decode(), form) for form in (b"\\u%04x", b"\\u%04X"))
    return tuple(dict.fromkeys((plain, escaped, lower, upper)))


def _to_ascii(text: str, form: bytes) -> bytes:
    """Text with `form` for each UTF-16 unit that is not ASCII, as the encoders of many languages write it."""
    parts = []
    for character in text:
        units = character.encode("utf-16-be")
        pairs = zip(units[::2], units[1::2], strict=True)
        parts += [character.encode()] if character.isascii() else [form % (high << 8 | low) for high, low in pairs]
    return b"".join(parts)
