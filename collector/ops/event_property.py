"""The property of each event in lines of a log, pure. Another program may have written them, so all bytes are valid."""

from typing import Final

import msgspec
from msgspec import Struct

from collector.errors import UNDECODABLE


class EventProperty(Struct, frozen=True):
    """The property of an event. Both are None for a line that names none, and for events that can't be read."""

    portal_id: int | None = None
    prop_id: int | None = None

    @property
    def is_known(self) -> bool:
        """Whether the event names both."""
        return self.portal_id is not None and self.prop_id is not None

    def __str__(self) -> str:
        return f"{self.portal_id}/{self.prop_id}"


UNKNOWN: Final = EventProperty()
_decode: Final = msgspec.json.Decoder(EventProperty).decode
_decode_lines: Final = msgspec.json.Decoder(EventProperty).decode_lines


def property_of(line: bytes) -> EventProperty:
    """The property of the event in a line."""
    try:
        return _decode(line)
    except UNDECODABLE:
        return UNKNOWN


def properties_of(lines: bytes, number: int) -> list[EventProperty]:
    """The property of each of so many lines."""
    try:
        found = _decode_lines(lines)
    except UNDECODABLE:
        found = []
    return found if len(found) == number else [property_of(line) for line in lines.removesuffix(b"\n").split(b"\n")]
