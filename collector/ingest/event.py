"""A body to an event, pure: a typed decode that skips unknown members, and a slower one that finds all faults."""

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Final, cast

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from collector.errors import UNDECODABLE, BadEvent, Fault, FieldCode, TooLarge
from collector.ingest.fields.field_types import (
    LONGEST,
    MAX_SID,
    AnyObject,
    Count,
    EventId,
    Sid,
    SidText,
    Text,
    Time,
)
from collector.nesting import is_deeper
from collector.settings import Limits

_NAMES: Final = range(-(10 ** (LONGEST - 1)) + 1, 10**LONGEST)
"""Integers whose decimal string has at most 255 characters, the sign counted."""
_SID_RULE: Final = "an integer from 0 to 2^63 - 1 without a fraction, or its decimal digits as a string"
_ID_RULE: Final = "1 to 255 characters; an integer, written without a fraction, stands for its digits"
_EVENT_ID_RULE: Final = "1 to 100 characters, made once and kept through retries"
_TIME_RULE: Final = "RFC 3339, `yyyy-MM-dd HH:mm:ss` in UTC, or Unix ms"


class Event(Struct, gc=False):
    """The fields for which the contract has rules. OpenAPI and the reading of queries follow from their types.

    An integer `aid` or `uid` stands for its decimal string.
    """

    ea: Annotated[Text | UnsetType, Meta(description="action: 1 to 255 characters")] = UNSET
    ec: Annotated[Text | UnsetType, Meta(description="category: 1 to 255 characters")] = UNSET
    sid: Annotated[Sid | SidText | UnsetType, Meta(description=f"session: {_SID_RULE}")] = UNSET
    aid: Annotated[Text | int | UnsetType, Meta(description=f"device: {_ID_RULE}")] = UNSET
    uid: Annotated[Text | int | UnsetType, Meta(description=f"user, who may be anonymous: {_ID_RULE}")] = UNSET
    context: Annotated[AnyObject | UnsetType, Meta(description="an object")] = UNSET
    extra: Annotated[AnyObject | UnsetType, Meta(description="an object")] = UNSET
    dims: Annotated[AnyObject | UnsetType, Meta(description="an object")] = UNSET
    items: Annotated[list[AnyObject] | UnsetType, Meta(description="an array of objects")] = UNSET
    event_id: Annotated[
        EventId | UnsetType, Meta(description=f"the client's own id of this event: {_EVENT_ID_RULE}")
    ] = UNSET
    et: Annotated[Time | UnsetType, Meta(description=f"when it happened: {_TIME_RULE}")] = UNSET
    sent_at: Annotated[Time | UnsetType, Meta(description="the client's clock when it sent, in the same forms")] = UNSET
    lost: Annotated[
        Count | UnsetType,
        Meta(description="how many events the client lost before this one, since it could not keep them"),
    ] = UNSET


_COUNTED_BYTES: Final = 4096
"""Up to this size it is cheaper to count brackets first than to measure their nesting at once."""
_LF, _CR = b"\n\r"
"""As integers, because `in` is much faster with them than with bytes."""
_decode_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_CODES: Final = {
    "length >=": FieldCode.TOO_SHORT,
    "length <=": FieldCode.TOO_LONG,
    ">=": FieldCode.OUT_OF_RANGE,
    "<=": FieldCode.OUT_OF_RANGE,
    "out of range": FieldCode.OUT_OF_RANGE,
}
"""By a part of msgspec's message, the first that it has: its exceptions have no code. All other messages name types."""
_FIELD_DECODERS: Final = {field.name: msgspec.json.Decoder(field.type) for field in msgspec.structs.fields(Event)}


@lru_cache
def _decoder(required: tuple[str, ...]) -> Callable[[bytes], Event]:
    """A decoder that requires these fields. Cached: one for each distinct `required` setting."""
    fields = [
        (field.name, field.type) if field.name in required else (field.name, field.type, UNSET)
        for field in msgspec.structs.fields(Event)
    ]
    strict = msgspec.defstruct("Event", fields, kw_only=True, gc=False)
    return cast(Callable[[bytes], Event], msgspec.json.Decoder(strict).decode)


def decode_event(
    body: bytes, required: tuple[str, ...], limits: Limits, *, is_line: bool = False, is_explained: bool = True
) -> tuple[Event, bytes]:
    """The event in `body`, and its bytes on one line, otherwise as sent.

    Raises TooLarge, and BadEvent with a fault for each wrong or missing field. `is_line`: the body is known to be UTF-8
    without a line break. To list all faults takes four times as long as to find one; without `is_explained` none are
    listed.
    """
    length = len(body)
    if not length:
        raise BadEvent("the request carries no event")
    if length > limits.event_bytes:
        raise TooLarge(f"the event is over the limit of {limits.event_bytes} bytes")
    try:
        event = _decoder(required)(body)
    except msgspec.ValidationError:
        raise (_all_faults(body, required) if is_explained else BadEvent("")) from None
    except UNDECODABLE as error:
        raise malformed(error) from None
    if not is_line:
        check_utf8(body)  # msgspec checks only the strings that it decodes
        is_line = not has_line_break(body)
    # nearly every event has no more brackets than levels allowed, so it can't be too deep; `count` is half as fast
    if (length > _COUNTED_BYTES or _brackets_in(body) > limits.nesting) and is_deeper(body, limits.nesting):
        raise BadEvent(f"the event is nested deeper than {limits.nesting} levels")
    sid, aid, uid = event.sid, event.aid, event.uid
    if type(sid) is str:
        if not _is_sid(sid):
            raise _all_faults(body, required)
        event.sid = int(sid)
    if (type(aid) is int and aid not in _NAMES) or (type(uid) is int and uid not in _NAMES):
        raise _all_faults(body, required)
    return event, body if is_line else msgspec.json.format(body, indent=-1)


def _brackets_in(body: bytes) -> int:
    return 2 * len(body) - len(body.replace(b"{", b"")) - len(body.replace(b"[", b""))


def _is_sid(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= LONGEST and int(text) <= MAX_SID


def has_line_break(body: bytes) -> bool:
    return _LF in body or _CR in body


def check_utf8(body: bytes) -> None:
    """Raises BadEvent if `body` is not UTF-8."""
    if not body.isascii():  # takes a fifth of the time or less, and nearly always suffices
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise malformed(error) from None


def malformed(error: Exception) -> BadEvent:
    if isinstance(error, UnicodeDecodeError):
        return BadEvent(f"the body is not UTF-8 (byte {error.start})")
    if isinstance(error, RecursionError):
        return BadEvent("the event is nested too deep")
    return BadEvent(f"the body is not JSON: {error}")


def _all_faults(body: bytes, required: tuple[str, ...]) -> BadEvent:
    try:
        check_utf8(body)
        members = _decode_members(body)
    except msgspec.ValidationError:
        return BadEvent("expected one JSON object, the event")
    except BadEvent as error:
        return error
    except (msgspec.DecodeError, RecursionError) as error:  # after the wrong field, where the first decode stopped
        return malformed(error)
    faults = []
    for name, decoder in _FIELD_DECODERS.items():
        if name in members:
            if fault := _fault_of(name, members[name], decoder):
                faults.append(fault)
        elif name in required:
            faults.append(Fault(name, FieldCode.MISSING, "missing"))
    return BadEvent("the event failed validation", tuple(faults))


def _fault_of(name: str, raw: msgspec.Raw, decoder: "msgspec.json.Decoder[object]") -> Fault | None:
    try:
        value = decoder.decode(raw)
    except msgspec.ValidationError as error:
        message = str(error)
        code = next((code for part, code in _CODES.items() if part in message), FieldCode.WRONG_TYPE)
        return Fault(name, code, message.replace("Expected", "expected", 1))
    if name == "sid" and isinstance(value, str) and not _is_sid(value):
        code = FieldCode.OUT_OF_RANGE if value.isascii() and value.isdigit() else FieldCode.MALFORMED
        return Fault(name, code, "expected an integer from 0 to 2^63 - 1, or its decimal digits")
    if name in ("aid", "uid") and isinstance(value, int) and value not in _NAMES:
        return Fault(name, FieldCode.TOO_LONG, f"expected at most {LONGEST} digits")
    return None
