"""Records to messages, pure: topic, key and headers of an event, by the sink's templates."""

from typing import Final, NamedTuple

import msgspec
from msgspec import UNSET, Struct, UnsetType

from collector.settings.templates import filled, names_in
from collector.ship.sinks.kafka.settings import KafkaSinkSettings

Headers = list[tuple[str, str | bytes | None]]
_decode_text: Final = msgspec.json.Decoder(str).decode


class _Record(Struct, gc=False):
    """The members that a template may name. No other member is decoded."""

    id: str
    portal_id: int
    prop_id: int
    source: str
    au_id: str


class _Event(Struct, gc=False):
    uid: msgspec.Raw | UnsetType = UNSET


class _RecordWithEvent(_Record, gc=False):
    event: _Event


_Place = tuple[str, int, int]
_decode: Final = msgspec.json.Decoder(_Record).decode
_decode_with_event: Final = msgspec.json.Decoder(_RecordWithEvent).decode


class Message(NamedTuple):
    """The topic, key and headers of a message; its value is the record's line."""

    topic: str
    key: bytes | None
    headers: Headers | None


class Messages:
    """The templates of a sink."""

    def __init__(self, settings: KafkaSinkSettings) -> None:
        self._settings = settings
        self._by_place: dict[_Place, tuple[str, Headers | None]] = {}
        self._has_ids = any("id" in names_in(value) for value in settings.headers.values())
        templates = [settings.topic, *settings.headers.values()]
        is_fixed = settings.key == "none" and not any(names_in(template) for template in templates)
        self._fixed = Message(settings.topic, None, self._headers({})) if is_fixed else None

    def of(self, line: bytes) -> Message:
        """The message of a record's line. Raises msgspec.DecodeError if the line is not a record."""
        if self._fixed:
            return self._fixed
        key: bytes | None = None
        if self._settings.key == "uid":
            whole = _decode_with_event(line)
            record: _Record = whole
            key = _key(whole.event.uid)
        else:
            record = _decode(line)
            if self._settings.key == "au_id":
                key = record.au_id.encode()
        place = record.source, record.portal_id, record.prop_id
        topic, headers = self._by_place.get(place) or self._add(place)
        if self._has_ids:
            headers = self._headers(_values(place) | {"id": record.id})
        return Message(topic, key, headers)

    def _add(self, place: _Place) -> tuple[str, Headers | None]:
        values = _values(place)
        headers = None if self._has_ids else self._headers(values)
        found = self._by_place[place] = filled(self._settings.topic, values), headers
        return found

    def _headers(self, values: dict[str, str]) -> Headers | None:
        return [(name, filled(value, values).encode()) for name, value in self._settings.headers.items()] or None


def _values(place: _Place) -> dict[str, str]:
    source, portal_id, prop_id = place
    return {"source": source, "portal_id": str(portal_id), "prop_id": str(prop_id)}


def _key(uid: msgspec.Raw | UnsetType) -> bytes | None:
    """The key of a user: the same for a string and a number of the same digits; None without a user."""
    if uid is UNSET:
        return None
    written = bytes(uid)
    if written.startswith(b'"'):
        return written[1:-1] if b"\\" not in written else _decode_text(written).encode()
    return None if written == b"null" else written
