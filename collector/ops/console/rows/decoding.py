"""A line of the log, or of the dead letters, to a row; and damage to one. Pure.

A record is decoded in one typed pass, since there may be 20,000 a second. Any other line may hold whatever a client
sent: each member is looked at by itself, and one that can't be read is left out.
"""

from functools import lru_cache
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from collector.ops.console.rows.rows import DAMAGED, DEAD, MOST_CHARACTERS, STORED, BlockPlace, EventRow
from wal.damage import Damage

_MOST_BYTES: Final = 8 * MOST_CHARACTERS
"""The part of a JSON value that is decoded, if it is not a string: enough for MOST_CHARACTERS."""
_TIME_DIGITS: Final = 15
"""Unix ms with more are no time."""


class _Event(Struct, gc=False):
    ea: str | None = None
    ec: str | None = None
    uid: str | int | None = None


class _Record(Struct, gc=False):
    """The members of a record that a row shows."""

    received_at: int
    portal_id: int
    prop_id: int
    event: _Event
    source: str | None = None
    dialect: str | None = None
    warnings: tuple[Raw, ...] = ()


class _Members(Struct):
    """The same of any line, whatever its members hold."""

    received_at: Raw = Raw()
    portal_id: Raw = Raw()
    prop_id: Raw = Raw()
    source: Raw = Raw()
    dialect: Raw = Raw()
    event: Raw = Raw()
    code: Raw = Raw()
    form: Raw = Raw()
    encoding: Raw = Raw()
    raw: Raw = Raw()
    part: Raw = Raw()


class _Fields(Struct):
    ea: Raw = Raw()
    ec: Raw = Raw()
    uid: Raw = Raw()
    event: Raw = Raw()


_decode_record: Final = msgspec.json.Decoder(_Record).decode
_decode_members: Final = msgspec.json.Decoder(_Members).decode
_decode_fields: Final = msgspec.json.Decoder(_Fields).decode
_decode_list: Final = msgspec.json.Decoder(list[Raw]).decode
_decode_any: Final = msgspec.json.Decoder(Any).decode
_Undecodable: Final = (msgspec.DecodeError, RecursionError, ValueError)
"""ValueError: bytes that are not UTF-8, and integers of too many digits."""


def row_of_record(line: bytes, block: BlockPlace, sequence: int, start: int) -> EventRow | None:
    """The row of a line of the log of events, without its LF."""
    try:
        record = _decode_record(line)
    except _Undecodable:  # a redacted member may have another type
        return _row_of_members(STORED, line, block, sequence, start)
    event, source, dialect = record.event, record.source, record.dialect
    ea, ec, uid = event.ea, event.ec, event.uid
    return EventRow(
        received_ms=record.received_at,
        kind=STORED,
        log_id=block.log_id,
        sequence=sequence,
        property=_property(record.portal_id, record.prop_id),
        source=_shared(source),
        dialect=_shared(dialect),
        ea=_shared(ea),
        ec=_shared(ec),
        uid=None if uid is None else str(uid)[:MOST_CHARACTERS],
        bytes=len(line),
        warnings=len(record.warnings),
        path=block.path,
        start=start,
    )


def row_of_letter(line: bytes, block: BlockPlace, sequence: int, start: int) -> EventRow | None:
    """The row of a line of the dead letters, without its LF; None for the second and later lines of one letter.

    A letter of a batch shows the fields of its first event.
    """
    return _row_of_members(DEAD, line, block, sequence, start)


def row_of_damage(damage: Damage, log_id: bytes, ms: int) -> EventRow:
    """The row in the place of events that are lost."""
    start, end = damage.start, damage.end
    return EventRow(
        received_ms=ms,
        kind=DAMAGED,
        log_id=log_id.decode(),
        sequence=start.sequence,
        bytes=end.offset - start.offset if start.segment == end.segment else None,
        warnings=damage.lost,
        code=damage.kind.value,
    )


def _row_of_members(kind: str, line: bytes, block: BlockPlace, sequence: int, start: int) -> EventRow | None:
    try:
        members = _decode_members(line)
    except _Undecodable:
        members = _Members()
    if bytes(members.part) not in (b"", b"1"):
        return None
    event = _fields_of(members.event if kind == STORED else _sent(members))
    portal, prop = _text(members.portal_id), _text(members.prop_id)
    received = bytes(members.received_at)
    return EventRow(
        received_ms=int(received) if received.isdigit() and len(received) <= _TIME_DIGITS else block.timestamp_ms,
        kind=kind,
        log_id=block.log_id,
        sequence=sequence,
        property=f"{portal}/{prop}" if portal and prop else None,
        source=_text(members.source),
        dialect=_text(members.dialect),
        ea=_text(event.ea),
        ec=_text(event.ec),
        uid=_text(event.uid),
        bytes=len(line),
        code=_text(members.code),
        path=block.path,
        start=start,
    )


def _sent(letter: _Members) -> Raw:
    """The event of a dead letter as it came, the first of several; nothing if it is not JSON."""
    form, encoding, raw = (bytes(member) for member in (letter.form, letter.encoding, letter.raw))
    if encoding != b'"json"':
        return Raw()
    if raw[:1] == b"[":
        try:
            events = _decode_list(raw)
        except _Undecodable:
            return Raw()
        raw = bytes(events[0]) if events else b""
    return _fields_of(Raw(raw)).event if form == b'"record"' else Raw(raw)


def _fields_of(event: Raw) -> _Fields:
    try:
        return _decode_fields(event)
    except _Undecodable:
        return _Fields()


def _text(value: Raw) -> str | None:
    """A JSON value as text: a string without its quotes, any other value as it stands."""
    content = bytes(value)
    if content in (b"", b"null"):
        return None
    if content[:1] != b'"':
        return content[:_MOST_BYTES].decode(errors="replace")[:MOST_CHARACTERS]
    try:
        return str(_decode_any(content))[:MOST_CHARACTERS]
    except _Undecodable:
        return None


@lru_cache(4096)
def _property(portal_id: int, prop_id: int) -> str:
    return f"{portal_id}/{prop_id}"


def _shared(text: str | None) -> str | None:
    """A text that many rows have, cut. They share it, which takes a third off their memory."""
    return text and _one(text[:MOST_CHARACTERS])


@lru_cache(4096)
def _one(text: str) -> str:
    """The same object for equal texts."""
    return text
