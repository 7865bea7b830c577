"""The table of the calls of Segment's family, pure: the parts of our event that follow from the kind of a call.

| call          | ea         | ec            | elsewhere                                               |
|---------------|------------|---------------|---------------------------------------------------------|
| track         | `event`    | track         | products of `properties` → items                        |
| identify      | `identify` | user          | `traits`, else `context.traits` → dims.users, with `id` |
| page, screen  | `view`     | page, screen  |                                                         |
| group         | `group`    | group         | `traits` → dims.groups, with `id` = `groupId`           |
| alias         | `alias`    | user          | `previousId` → extra.previous_id                        |

`extra` has the properties, and every other member of the call under its own name: `name`, `category`, `channel`,
members that no SDK is known to send, and those of the table in calls that have no other place for them. It has
`timestamp` if `originalTimestamp` is the time of the event. A property is never overwritten: the member of the same
name is left out. `integrations`, `_metadata`, `writeKey` and nulls are dropped.

A call whose `type`, `properties`, `traits` or `context` is of the wrong type is refused. Other wrong values are passed
on, and our own rules decide; a `messageId` that is neither text nor number stays in `extra`.
"""

from typing import Final, NamedTuple

import msgspec
from msgspec import Raw

from collector.errors import FieldCode
from collector.ingest.dialects.segment.call import NULL, Call, OptionalPart, is_given, members_of, wrong
from collector.ingest.dialects.segment.products import take_items
from collector.ingest.fields.event_id import event_id

Parts = list[bytes | Raw]
"""The beginning of an event, to be joined."""


class CallRow(NamedTuple):
    """A row of the table. The event's name stands before `head` if the head does not begin an object."""

    head: bytes
    dims: str = ""
    """The member of dims that the traits become."""


ROWS: Final = {
    "track": CallRow(b',"ec":"track"'),
    "identify": CallRow(b'{"ea":"identify","ec":"user"', "users"),
    "page": CallRow(b'{"ea":"view","ec":"page"'),
    "screen": CallRow(b'{"ea":"view","ec":"screen"'),
    "group": CallRow(b'{"ea":"group","ec":"group"', "groups"),
    "alias": CallRow(b'{"ea":"alias","ec":"user"'),
}
_NO_NAME: Final = b'{"ec":"track"'
_NO_DIMS: Final = OptionalPart(b"", b"")
_decode_text: Final = msgspec.json.Decoder(str).decode
_encode: Final = msgspec.json.encode


def row_of(kind: str) -> CallRow:
    """The row of a kind of call. Raises BadEvent if there is none."""
    row = ROWS.get(kind)
    if row is None:
        raise wrong("type", FieldCode.NOT_ALLOWED, f"expected one of {', '.join(ROWS)}")
    return row


def beginning(kind: str, row: CallRow, call: Call) -> Parts:
    """The parts up to `ec`."""
    if kind != "track":
        return [row.head]
    return [b'{"ea":', call.event, row.head] if is_given(call.event) else [_NO_NAME]


def take_dims(row: CallRow, call: Call, raw: Raw, others: dict[str, Raw]) -> OptionalPart:
    """The dims of a call; the least of them is without the id that `uid` has too. `raw`: the traits.

    A trait `id` gives way to the id of the call, and moves to `others` if it is another one.
    """
    if not row.dims:
        return _NO_DIMS
    try:
        traits = members_of(raw)
    except msgspec.ValidationError:
        raise wrong("traits", FieldCode.WRONG_TYPE, "expected an object") from None
    identity = call.user_id if row.dims == "users" else call.group_id
    if not is_given(identity):
        return _dims(row.dims, traits, traits)
    own = traits.pop("id", identity)
    if own not in (identity, NULL):
        others.setdefault("id", own)
    whole = {"id": identity, **traits}
    return _dims(row.dims, whole, traits if row.dims == "users" else whole)


def add_ids(parts: Parts, call: Call, sid: bytes, others: dict[str, Raw]) -> None:
    """Add the sender of the call, its id, and its times."""
    if sid:
        parts += (b',"sid":', sid)
    if is_given(call.anonymous_id):
        parts += (b',"aid":', call.anonymous_id)
    if is_given(call.user_id):
        parts += (b',"uid":', call.user_id)
    if is_given(call.message_id):
        _add_event_id(parts, call.message_id, others)
    _add_times(parts, call, others)


def add_extra(parts: Parts, kind: str, call: Call, others: dict[str, Raw]) -> None:
    """Add `items`, and `extra`: the properties as they were sent, unless something is taken from or put to them."""
    _add_left(kind, call, others)
    properties = bytes(call.properties)
    has_products = kind == "track" and (b'"product' in properties or b'"sku"' in properties)
    if not others and not has_products and properties[:1] == b"{":
        if properties[1:-1].strip():
            parts += (b',"extra":', properties)
        return
    try:
        members = members_of(properties)
    except msgspec.ValidationError:
        raise wrong("properties", FieldCode.WRONG_TYPE, "expected an object") from None
    if has_products and (items := take_items(members)):
        parts += (b',"items":', _encode(items))
    if extra := {**others, **members} if others else members:
        parts += (b',"extra":', _encode(extra))


def _dims(name: str, whole: dict[str, Raw], least: dict[str, Raw]) -> OptionalPart:
    return OptionalPart(
        *[b',"dims":{"%b":%b}' % (name.encode(), _encode(members)) if members else b"" for members in (whole, least)]
    )


def _add_event_id(parts: Parts, raw: Raw, others: dict[str, Raw]) -> None:
    text = bytes(raw)
    if text[:1] == b'"':
        parts += (b',"event_id":', _encode(event_id(_decode_text(raw))))
    elif text[:1] == b"-" or text[:1].isdigit():
        parts += (b',"event_id":', _encode(event_id(text.decode())))
    else:
        others["messageId"] = raw


def _add_times(parts: Parts, call: Call, others: dict[str, Raw]) -> None:
    if is_given(call.original_timestamp):
        parts += (b',"et":', call.original_timestamp)
        if is_given(call.timestamp) and call.timestamp != call.original_timestamp:
            others["timestamp"] = call.timestamp
    elif is_given(call.timestamp):
        parts += (b',"et":', call.timestamp)
    if is_given(call.sent_at):
        parts += (b',"sent_at":', call.sent_at)


def _add_left(kind: str, call: Call, others: dict[str, Raw]) -> None:
    """Add to `others` the members that have no other place in a call of this kind."""
    if call.name or call.category or call.channel:
        _add_member(others, "name", call.name)
        _add_member(others, "category", call.category)
        _add_member(others, "channel", call.channel)
    if call.event and kind != "track":
        _add_member(others, "event", call.event)
    if call.group_id and kind != "group":
        _add_member(others, "groupId", call.group_id)
    if call.previous_id:
        _add_member(others, "previous_id" if kind == "alias" else "previousId", call.previous_id)
    if call.traits and not ROWS[kind].dims:
        _add_member(others, "traits", call.traits)


def _add_member(others: dict[str, Raw], name: str, raw: Raw) -> None:
    if raw and raw != NULL:
        others[name] = raw
