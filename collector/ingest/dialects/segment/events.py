"""The calls of one request of Segment's family to events, pure."""

from typing import Final, NamedTuple

import msgspec
from msgspec import Raw, Struct

from collector.errors import UNDECODABLE, BadEvent, FieldCode, Refusal, TooLarge
from collector.ingest.dialects.dialect import NO_CREDENTIALS, Credentials, DialectEvent
from collector.ingest.dialects.segment.call import Call, OptionalPart, is_given, read_call, wrong
from collector.ingest.dialects.segment.context import CallContext, CallContexts
from collector.ingest.dialects.segment.credentials import credentials_of
from collector.ingest.dialects.segment.table import add_extra, add_ids, beginning, row_of, take_dims
from collector.settings.tables import LARGEST_EVENT

_PAID_BYTES: Final = 64
"""The bytes by which every event may exceed its call. Only made-up calls take more, and by two bytes."""
_LONGEST_TIME: Final = 64
"""Bytes of a batch's `sentAt`. A longer one is not a time."""
_SERVER: Final = Raw(b'"server"')
_SENT_AT: Final = b',"sent_at":'
_EMPTY_OBJECTS: Final = (b"{}", b"[]")


class _Named(Struct, gc=False, rename="camel"):
    """The member of a call that names its property."""

    write_key: Raw = Raw()


_decode_text: Final = msgspec.json.Decoder(str).decode
_named_in: Final = msgspec.json.Decoder(_Named).decode


class SharedMembers(NamedTuple):
    """The members that the calls of a request share."""

    kind: str
    """The type of calls that name none; empty if each must."""
    is_s2s: bool
    context: Raw = Raw()
    sent_at: Raw = Raw()
    write_key: Raw = Raw()


class CallsToEvents:
    """Makes the events of one request. Together they are no longer than the request has paid for.

    Three things are left out of an event where there is no room for them: the id in dims.users, which `uid` has too,
    the batch's `sentAt`, and the batch's context. For these two there is room in the first event.
    """

    def __init__(self, shared: SharedMembers, room: int, *, is_line: bool) -> None:
        """`room`: bytes by which all events may exceed calls and _PAID_BYTES. `is_line`: the body has no line break."""
        self._shared = shared
        self._room = room
        self._is_line = is_line
        self._contexts = CallContexts(shared.context)
        self._credentials = _credentials_in(shared.write_key)
        has_time = is_given(shared.sent_at) and len(shared.sent_at) <= _LONGEST_TIME
        self._sent_at = _SENT_AT + bytes(shared.sent_at) if has_time else b""

    def event(self, raw: bytes) -> DialectEvent:
        """The event of a call, or its refusal."""
        try:
            return self._event(raw)
        except (BadEvent, TooLarge) as error:
            refusal = error.refusal
        except UNDECODABLE as error:
            refusal = Refusal(BadEvent.code, f"expected a call, one JSON object: {error}")
        return DialectEvent(raw, b"", refusal, credentials=self._credentials_of(raw))

    def _credentials_of(self, raw: bytes) -> Credentials:
        """The credentials of a call that is refused."""
        try:
            write_key = _named_in(raw).write_key
        except UNDECODABLE:
            return self._credentials
        return _credentials_in(write_key) if write_key else self._credentials

    def _event(self, raw: bytes) -> DialectEvent:
        if len(raw) > LARGEST_EVENT:
            raise TooLarge(f"the call is over the limit of {LARGEST_EVENT} bytes")
        call, others = read_call(raw)
        kind = call.type or self._shared.kind
        row = row_of(kind)
        context, traits = self._context(kind, call, self._room + len(raw) + _PAID_BYTES)
        dims = take_dims(row, call, traits, others)
        parts = beginning(kind, row, call)
        add_ids(parts, call, context.sid, others)
        add_extra(parts, kind, call, others)
        event = self._closed(b"".join(parts), len(raw), call, dims, context)
        return DialectEvent(
            raw,
            event if self._is_line else msgspec.json.format(event, indent=-1),
            None,
            self._shared.is_s2s or context.is_server or call.channel == _SERVER,
            context.ip,
            context.user_agent,
            _credentials_in(call.write_key) if call.write_key else self._credentials,
        )

    def _context(self, kind: str, call: Call, room: int) -> tuple[CallContext, Raw]:
        """The context, and the traits: an identify without any has those of its context, which moves them."""
        takes_traits = kind == "identify" and (not is_given(call.traits) or bytes(call.traits) in _EMPTY_OBJECTS)
        try:
            context = self._contexts.of(call.context, room, takes_traits=takes_traits)
        except msgspec.ValidationError:
            raise wrong("context", FieldCode.WRONG_TYPE, "expected an object") from None
        return context, context.traits if takes_traits else call.traits

    def _closed(self, start: bytes, paid: int, call: Call, dims: OptionalPart, context: CallContext) -> bytes:
        """The whole event: its beginning, and the parts that depend on the room. `paid`: bytes of the call."""
        sent_at = b"" if is_given(call.sent_at) else self._sent_at
        self._room += paid + _PAID_BYTES
        event = b"".join((start, dims.whole, sent_at, context.part.whole, b"}"))
        if len(event) > self._room:
            event = _fitted(start, (dims, OptionalPart(sent_at, b""), context.part), self._room)
            if len(event) > self._room:
                raise BadEvent("the event would be longer than what was sent for it")
        self._room -= len(event)
        return event


def _fitted(start: bytes, choices: tuple[OptionalPart, ...], room: int) -> bytes:
    """An event with the least of all parts, but with the whole of those for which there is room."""
    parts = [start]
    room -= len(start) + sum(len(choice.least) for choice in choices) + 1
    for choice in choices:
        more = len(choice.whole) - len(choice.least)
        parts.append(choice.whole if more <= room else choice.least)
        room -= more if more <= room else 0
    return b"".join((*parts, b"}"))


def _credentials_in(write_key: Raw) -> Credentials:
    if bytes(write_key)[:1] != b'"':
        return NO_CREDENTIALS
    return credentials_of(_decode_text(write_key))
