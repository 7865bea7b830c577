"""One CloudEvent to an event of ours, pure: from its attributes and data, wherever they were sent."""

import re
from typing import Final

import msgspec
from msgspec import Raw

from collector.errors import BadEvent, Fault, FieldCode
from collector.ingest.fields.event_id import event_id
from collector.ingest.fields.field_types import LONGEST

Members = dict[str, Raw]
"""Attributes and data of a CloudEvent, by the names and as the values that they have in its JSON format."""

_REQUIRED: Final = ("specversion", "id", "source", "type")
_SPECVERSION: Final = "1.0"
_SOURCE: Final = re.compile(r"[!#-Z^-~]{1,50}")
"""A source that an `event_id` may begin with. It has no space, which comes after it. A longer source would make the
event longer by more than was sent, because `ec` has it too."""
_JSON_TYPE: Final = re.compile(r"[^/\s]+/(?:\S+\+)?json", re.IGNORECASE)
_NULL: Final = b"null"
_NOTHING: Final = (b"", b"null", b'""', b"{}")
_decode_text: Final = msgspec.json.Decoder(str).decode
_encode: Final = msgspec.json.encode


def is_json_type(media: str) -> bool:
    """Whether data of this content type is JSON."""
    return _JSON_TYPE.fullmatch(media.partition(";")[0].strip(' \t\r\n"')) is not None


def event_of(members: Members) -> bytes:
    """Our event, on one line if all values are. Takes the members out of `members`.

    Raises BadEvent with a fault for each required attribute that is missing or wrong.
    """
    if faults := [fault for name in _REQUIRED if (fault := _fault_of(name, bytes(members.get(name, b""))))]:
        raise BadEvent("the event is not a CloudEvent of version 1.0", tuple(faults))
    del members["specversion"]
    source, its_id = _decode_text(members.pop("source")), _decode_text(members.pop("id"))
    event: dict[str, object] = {"ea": members.pop("type"), "ec": source[:LONGEST]}
    if subject := _given(members, "subject"):
        event["uid"] = subject
    event["event_id"] = _event_id(source, its_id)
    if time := _given(members, "time"):
        event["et"] = time
    extra = _extra(members)
    if context := _context(members, source):
        event["context"] = context
    if extra:
        event["extra"] = extra
    return _encode(event)


def _fault_of(name: str, value: bytes) -> Fault | None:
    """The fault of a required attribute, or None."""
    if value in (b"", _NULL):
        return Fault(name, FieldCode.MISSING, "missing")
    if value[:1] != b'"':
        return Fault(name, FieldCode.WRONG_TYPE, "expected a string")
    if value == b'""':
        return Fault(name, FieldCode.TOO_SHORT, "expected at least one character")
    if name == "specversion" and _decode_text(value) != _SPECVERSION:
        return Fault(name, FieldCode.NOT_ALLOWED, f"expected {_SPECVERSION}")
    return None


def _event_id(source: str, its_id: str) -> str:
    """Different for any two pairs of a source and an id: readable if both are short, else a digest."""
    if _SOURCE.fullmatch(source):
        return event_id(f"{source} {its_id}")
    return event_id(_encode([source, its_id]).decode(), longest=0)


def _given(members: Members, name: str) -> Raw | None:
    """An attribute taken out of the members; None if it is missing or empty."""
    value = members.pop(name, None)
    return None if value is None or bytes(value) in _NOTHING else value


def _extra(members: Members) -> Raw | dict[str, Raw]:
    """The data: an object is `extra` itself, unless there is `data_base64` too, and anything else a member of it."""
    data, encoded = _given(members, "data"), _given(members, "data_base64")
    if data is not None and encoded is None and bytes(data)[:1] == b"{":
        return data
    both = {"data": data, "data_base64": encoded}
    return {name: value for name, value in both.items() if value is not None}


def _context(members: Members, source: str) -> Members:
    """The other attributes, and the end of a source that is too long for `ec`, which has its beginning."""
    media = members.get("datacontenttype", Raw())
    if bytes(media)[:1] == b'"' and is_json_type(_decode_text(media)):
        del members["datacontenttype"]
    context = {name: value for name, value in members.items() if bytes(value) != _NULL}
    if len(source) > LONGEST:
        context["source_end"] = Raw(_encode(source[LONGEST:]))
    return context
