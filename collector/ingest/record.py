"""The stored record, pure: the client's event as sent, with the collector's members around it."""

from typing import Final

import msgspec
from msgspec import UNSET, Struct

from collector.ingest.event import Event
from collector.ingest.fields.event_times import occurred_at
from collector.ingest.fields.lost_events import warning_of
from collector.ingest.policy.properties import Property
from collector.ingest.session import Session

_NOTHING: Final = b"null"
_NO_WARNINGS: Final = b"[]"
_USER_AGENT: Final = b',"user_agent":'
_REFERER: Final = b',"referer":'
_S2S: Final = b',"s2s":'
_encode: Final = msgspec.json.encode
LONGEST_USER_AGENT: Final = 1024
LONGEST_REFERER: Final = 4096
_QUOTES: Final = 2
_USER_AGENT_BYTES: Final = LONGEST_USER_AGENT + _QUOTES
_REFERER_BYTES: Final = LONGEST_REFERER + _QUOTES
_ESCAPE_BYTES: Final = 6
"""The most bytes that JSON needs for one character of a header."""
EVENT_BYTES: Final = 512
REQUEST_BYTES: Final = 7 << 10
MOST_AROUND: Final = EVENT_BYTES + REQUEST_BYTES
"""The most bytes that a request of one event may add to the log beyond the bytes sent; EVENT_BYTES for every further
event. The contract allows 8 KiB; the rest is for the dead letter of its refused events."""
_DIALECT_BYTES: Final = 25
"""The most bytes of the member that names a dialect."""
_AROUND_BYTES: Final = 368
"""The most bytes of a record without the property's members, the id of its client, the warnings, the headers and the
event."""


class RequestContext(Struct, frozen=True):
    """The facts about a request, apart from its event, that the property allows to be stored."""

    prop: Property
    received_ms: int
    ip: str | None
    user_agent: str | None
    referer: str | None
    is_s2s: bool
    warnings: list[str]
    dialect: str = ""
    """The name of the dialect of its client; empty for `/event`."""


def members_of(context: RequestContext) -> bytes:
    """The members of a record about its request."""
    user_agent, referer = context.user_agent, context.referer
    return _members(
        context,
        _NOTHING if user_agent is None else _encode(user_agent),
        _NOTHING if referer is None else _encode(referer),
    )


def shared_members_of(context: RequestContext, room: int) -> bytes:
    """As `members_of`, with user agent and referer cut to `room` bytes in all.

    Either may take more than its half only if the other needs less.
    """
    left = room - len(_encode(context.user_agent))
    referer = _kept(context.referer, min(_REFERER_BYTES, max(left, room // 2)))
    return _members(context, _kept(context.user_agent, min(_USER_AGENT_BYTES, room - len(referer))), referer)


def room_for_headers(context: RequestContext, events: int, expansion: int = 0) -> int:
    """Bytes for user agent and referer in every record, so that the bytes sent bound the bytes logged.
    `expansion`: bytes of the events beyond the bytes sent. Below 0: there is no room for the record."""
    around = _AROUND_BYTES + len(context.prop.members) + _DIALECT_BYTES * bool(context.dialect)
    warnings = len(_encode(context.warnings)) if context.warnings else 0
    return EVENT_BYTES - around - warnings + (REQUEST_BYTES - expansion) // events


def fitted(records: list[bytes], sent: int, context: RequestContext, members: bytes) -> list[bytes]:
    """The records of a batch, whose events took `sent` bytes, with headers cut further if the records are too long.

    Ids and warnings about fields can make them so. `room_for_headers` does not count with them: few batches have any.
    If that is not enough, the records lose their warnings.
    """
    events = len(records)
    excess = _excess(records, sent)
    if excess <= 0:
        return records
    shorter = shared_members_of(context, _header_bytes(members) - -(-excess // events))
    records = [record.replace(members, shorter, 1) for record in records]
    return records if _excess(records, sent) <= 0 else list(map(_without_warnings, records))


def _header_bytes(members: bytes) -> int:
    """The bytes of user agent and referer, which may be cut already."""
    start, end = members.index(_USER_AGENT), members.index(_S2S)
    return end - start - len(_USER_AGENT) - len(_REFERER)


def _excess(records: list[bytes], sent: int) -> int:
    return sum(map(len, records)) - sent - EVENT_BYTES * len(records) - REQUEST_BYTES


def _without_warnings(record: bytes) -> bytes:
    """The same record without warnings. In front of them no value has an unescaped quote."""
    start = record.index(b'"warnings":[')
    return b'%b"warnings":[]%b' % (record[:start], record[record.index(b',"event":', start) :])


def shortened(text: str, most: int) -> str:
    """The beginning of a header, which takes at most `most` bytes as JSON."""
    if len(_encode(text)) <= most:
        return text
    beginning = text[: max(0, most - _QUOTES)]
    return beginning if len(_encode(beginning)) <= most else beginning[: len(beginning) // _ESCAPE_BYTES]


def _members(context: RequestContext, user_agent: bytes, referer: bytes) -> bytes:
    ip = context.ip
    return b'"received_at":%d,%b%b,"ip":%b,"user_agent":%b,"referer":%b,"s2s":%b' % (
        context.received_ms,
        context.prop.members,
        b',"dialect":"%b"' % context.dialect.encode() if context.dialect else b"",
        _NOTHING if ip is None else _encode(ip),
        user_agent,
        referer,
        b"true" if context.is_s2s else b"false",
    )


def _kept(text: str | None, most: int) -> bytes:
    return _NOTHING if text is None else _encode(shortened(text, most))


def record_line(
    log_id: bytes, sequence: int, context: RequestContext, members: bytes, session: Session, event: Event, line: bytes
) -> bytes:
    """One line of the log. `members` are the request's; `line` is the event as valid JSON without a line break.

    `identify` has given the event its id.
    """
    occurred_ms, warnings = context.received_ms, context.warnings
    if event.et is not UNSET:
        occurred_ms, unreadable = occurred_at(event.et, event.sent_at, occurred_ms)
        warnings = warnings + unreadable if unreadable else warnings
    if event.lost is not UNSET and (warning := warning_of(event.lost)):
        warnings = [*warnings, warning]
    return (
        b'{"id":"%b-%d",%b,"occurred_at":%d%b,"au_id":"%d","client_id":"%d.%d",'
        b'"session":{"id":%b,"start":%d,"hits":%d,"new":%b},"warnings":%b,"event":%b}\n'
    ) % (
        log_id,
        sequence,
        members,
        occurred_ms,
        b"" if event.event_id is UNSET else b',"event_id":%b' % _encode(event.event_id),
        session.au_id,
        session.client_au_id,
        session.client_first_seen,
        b'"%d"' % session.sid if session.sid >= 0 else _NOTHING,
        session.start,
        session.hits,
        b"true" if session.is_new else b"false",
        _encode(warnings) if warnings else _NO_WARNINGS,
        line,
    )


def without_headers(record: bytes) -> bytes:
    """The same record without user agent and referer. In front of them no value has an unescaped quote."""
    start = record.index(_USER_AGENT)
    end = record.index(_S2S, start)
    return record[:start] + b',"user_agent":null,"referer":null' + record[end:]


def renumbered(record: bytes, log_id: bytes, sequence: int) -> bytes:
    """The same record with another sequence."""
    return b'{"id":"%b-%d%b' % (log_id, sequence, record[record.index(b'",') :])
