"""One call of Segment's family, decoded, pure: its members as bytes, which go into the event as they were sent."""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from collector.errors import BadEvent, Fault, FieldCode

NULL: Final = Raw(b"null")
_NAMES: Final = {
    "user_id": "userId",
    "anonymous_id": "anonymousId",
    "message_id": "messageId",
    "original_timestamp": "originalTimestamp",
    "sent_at": "sentAt",
    "group_id": "groupId",
    "previous_id": "previousId",
    "write_key": "writeKey",
    "metadata": "_metadata",
}


class Call(Struct, gc=False, forbid_unknown_fields=True, rename=_NAMES):
    """The members that SDKs send, empty where a call has none. `integrations` and `metadata` are not used."""

    type: str | None = None
    event: Raw = Raw()
    user_id: Raw = Raw()
    anonymous_id: Raw = Raw()
    message_id: Raw = Raw()
    timestamp: Raw = Raw()
    original_timestamp: Raw = Raw()
    sent_at: Raw = Raw()
    context: Raw = Raw()
    properties: Raw = Raw()
    traits: Raw = Raw()
    name: Raw = Raw()
    category: Raw = Raw()
    channel: Raw = Raw()
    group_id: Raw = Raw()
    previous_id: Raw = Raw()
    write_key: Raw = Raw()
    integrations: Raw = Raw()
    metadata: Raw = Raw()


class OptionalPart(Struct, frozen=True, gc=False):
    """A part of an event, and the least of it, for which every call has paid."""

    whole: bytes
    least: bytes


_FIELDS: Final = {field.encode_name: field.name for field in msgspec.structs.fields(Call)}
_LONGEST_NOTHING: Final = 4
_NOTHING: Final = (b"", b'""', b"null")
_EMPTY_OBJECTS: Final = (b"", b"null", b"[]")
"""PHP writes an object without members as an array."""
_decode_call: Final = msgspec.json.Decoder(Call).decode
_decode_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_kind: Final = msgspec.json.Decoder(str | None).decode


def read_call(raw: bytes) -> tuple[Call, dict[str, Raw]]:
    """Decode a call, and the members for which it has no field, nulls left out. Those take three times as long.

    Raises BadEvent if `type` is not a string, and ValidationError if the call is not an object.
    """
    try:
        return _decode_call(raw), {}
    except msgspec.ValidationError:
        members = _decode_members(raw)
    known = {field: members.pop(name) for name, field in _FIELDS.items() if name in members}
    try:
        kind = _decode_kind(known.pop("type", NULL))
    except msgspec.ValidationError:
        raise wrong("type", FieldCode.WRONG_TYPE, "expected a string") from None
    return Call(type=kind, **known), {name: value for name, value in members.items() if value != NULL}


def is_given(raw: Raw) -> bool:
    """Whether a value is there, and neither null nor an empty text."""
    return len(raw) > _LONGEST_NOTHING or bytes(raw) not in _NOTHING


def is_object(raw: Raw | bytes) -> bool:
    """Whether a value is an object."""
    return bytes(raw)[:1] == b"{"


def members_of(raw: Raw | bytes) -> dict[str, Raw]:
    """The members of an object; none if it is missing or null. Raises ValidationError if it is not an object."""
    text = bytes(raw)
    return {} if text in _EMPTY_OBJECTS else _decode_members(text)


def wrong(field: str, code: FieldCode, message: str) -> BadEvent:
    """The exception for a member of a call that our event can't be made of."""
    return BadEvent(f"{field}: {message}", (Fault(field, code, message),))
