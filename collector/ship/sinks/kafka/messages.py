"""Records to messages, pure: topic, key and headers of an event, by the sink's templates."""

from collections.abc import Callable
from operator import attrgetter
from typing import Final, NamedTuple

import msgspec
from msgspec import UNSET, Struct, UnsetType

from collector.settings.templates import filled, names_in
from collector.ship.sinks.kafka.settings import EVENT_NAMES, KafkaSinkSettings

Headers = list[tuple[str, str | bytes | None]]
_decode_text: Final = msgspec.json.Decoder(str).decode


class _Record(Struct, gc=False, kw_only=True):
    """The members that a template may name. They stand in the order of a record's, so that each is found at once."""

    id: str
    occurred_at: int | None = None
    portal_id: int
    prop_id: int
    source: str
    event_id: str | None = None
    dialect: str | None = None
    au_id: str


class _Event(Struct, gc=False):
    uid: msgspec.Raw | UnsetType = UNSET


class _RecordWithEvent(_Record, gc=False, kw_only=True):
    event: _Event


_Place = tuple[str, int, int]
_MOST_PLACES: Final = 4096
_decode: Final = msgspec.json.Decoder(_Record).decode
_decode_with_event: Final = msgspec.json.Decoder(_RecordWithEvent).decode


class Message(Struct, gc=False):  # made in 0.1 us, a tuple in 0.4
    """The topic, key and headers of a message; its value is the record's line."""

    topic: str
    key: bytes | None
    headers: Headers | None


class _HeaderTemplate(NamedTuple):
    """A header whose `form` takes values of the event by the operator %."""

    name: str
    form: str
    values: Callable[[_Record], object]
    """Returns one value, or a tuple of any number."""


class _PlaceTemplates(NamedTuple):
    """The topic and the headers of one property; templates of headers only if one needs values of the event."""

    topic: str
    headers: Headers | None
    header_templates: list[_HeaderTemplate]


class Messages:
    """The templates of a sink."""

    def __init__(self, settings: KafkaSinkSettings) -> None:
        self._settings = settings
        self._has_event_values = any(
            name in EVENT_NAMES for value in settings.headers.values() for name in names_in(value)
        )
        self._by_place: dict[_Place, _PlaceTemplates] = {}
        templates = [settings.topic, *settings.headers.values()]
        is_fixed = settings.key == "none" and not any(names_in(template) for template in templates)
        headers: Headers = [(name, value.encode()) for name, value in settings.headers.items()]
        self._fixed = Message(settings.topic, None, headers or None) if is_fixed else None

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
            elif self._settings.key == "event_id":
                key = _once_key(record)
        place = record.source, record.portal_id, record.prop_id
        topic, headers, templates = self._by_place.get(place) or self._add(place)
        if templates:
            headers = _filled(templates, record) or None
        return Message(topic, key, headers)

    def _add(self, place: _Place) -> _PlaceTemplates:
        source, portal_id, prop_id = place
        values = {"source": source, "portal_id": str(portal_id), "prop_id": str(prop_id)}
        topic, headers = filled(self._settings.topic, values), self._settings.headers.items()
        if self._has_event_values:
            found = _PlaceTemplates(topic, None, [_header_template(*header, values) for header in headers])
        else:
            whole: Headers = [(name, filled(template, values).encode()) for name, template in headers]
            found = _PlaceTemplates(topic, whole or None, [])
        if len(self._by_place) == _MOST_PLACES:  # a relay names any sources
            self._by_place.clear()
        self._by_place[place] = found
        return found


def _header_template(name: str, template: str, values: dict[str, str]) -> _HeaderTemplate:
    """A header with these values in it, and with a `%s` for each of the event's.

    To fill it by % takes a quarter of the time of `filled`.
    """
    doubled = {key: value.replace("%", "%%") for key, value in values.items()}
    form = filled(template.replace("%", "%%"), doubled | dict.fromkeys(EVENT_NAMES, "%s"))
    names = [key for key in names_in(template) if key in EVENT_NAMES]
    return _HeaderTemplate(name, form, attrgetter(*names) if names else _no_values)


def _no_values(_: _Record) -> tuple[()]:
    return ()


def _filled(templates: list[_HeaderTemplate], record: _Record) -> Headers:
    """The headers of which the record has all values."""
    headers: Headers = []
    for name, form, values in templates:
        found = values(record)
        if found is not None and not (isinstance(found, tuple) and None in found):
            headers.append((name, (form % found).encode()))
    return headers


def _once_key(record: _Record) -> bytes:
    """The same for every copy of an event, and no other event's: a client's id is unique in its property alone."""
    if record.event_id is None:
        return record.id.encode()
    return f"{record.portal_id}.{record.prop_id}/{record.event_id}".encode()


def _key(uid: msgspec.Raw | UnsetType) -> bytes | None:
    """The key of a user: the same for a string and a number of the same digits; None without a user."""
    if uid is UNSET:
        return None
    written = bytes(uid)
    if written.startswith(b'"'):
        return written[1:-1] if b"\\" not in written else _decode_text(written).encode()
    return None if written == b"null" else written
