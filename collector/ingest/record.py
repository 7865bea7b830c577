"""The stored record, pure: the client's event as sent, inside what the collector knows of it."""

from typing import Final

import msgspec
from msgspec import Struct

from collector.ingest.policy.properties import Property
from collector.ingest.session import Session

_NOTHING: Final = b"null"
_NO_WARNINGS: Final = b"[]"
_encode: Final = msgspec.json.encode
_QUOTES: Final = 2
_USER_AGENT_BYTES: Final = 1024 + _QUOTES
_REFERER_BYTES: Final = 4096 + _QUOTES
_ESCAPE_BYTES: Final = 6
"""What one character of a header may become in JSON."""
_EVENT_BYTES: Final = 512
_REQUEST_BYTES: Final = 7 << 10
MOST_AROUND: Final = _EVENT_BYTES + _REQUEST_BYTES
"""What a request may add to the log beside what it sent: this, and so much for each event. The contract has 8 KiB;
the rest is for the dead letter of its refused events."""
_AROUND_BYTES: Final = 340
"""What a record has at the most beside the property's members, the warnings, the headers and the event."""


class RequestContext(Struct, frozen=True):
    """What is known of a request beside its event, as far as the property lets it be stored."""

    prop: Property
    received_ms: int
    ip: str | None
    user_agent: str | None
    referer: str | None
    is_s2s: bool
    warnings: list[str]


def members_of(context: RequestContext) -> bytes:
    """What a record says of its request."""
    user_agent, referer = context.user_agent, context.referer
    return _members(
        context,
        _NOTHING if user_agent is None else _encode(user_agent),
        _NOTHING if referer is None else _encode(referer),
    )


def shared_members_of(context: RequestContext, room: int) -> bytes:
    """The same for requests whose records have `room` bytes each for user agent and referer, which are cut to it.

    Neither takes the other's half of it unless the other needs less.
    """
    left = room - len(_encode(context.user_agent))
    referer = _kept(context.referer, min(_REFERER_BYTES, max(left, room // 2)))
    return _members(context, _kept(context.user_agent, min(_USER_AGENT_BYTES, room - len(referer))), referer)


def room_for_headers(context: RequestContext, events: int, expansion: int = 0) -> int:
    """Bytes for user agent and referer in each record of a request, so that what it adds to the log is bounded by
    what it sent. `expansion` are the bytes that its events have beyond those sent. Below 0: there is no room for it."""
    around = _AROUND_BYTES + len(context.prop.members)
    warnings = len(_encode(context.warnings)) if context.warnings else 0
    return _EVENT_BYTES - around - warnings + (_REQUEST_BYTES - expansion) // events


def shortened(text: str, most: int) -> str:
    """The beginning of a header, whose JSON has at most so many bytes."""
    if len(_encode(text)) <= most:
        return text
    beginning = text[: max(0, most - _QUOTES)]
    return beginning if len(_encode(beginning)) <= most else beginning[: len(beginning) // _ESCAPE_BYTES]


def _members(context: RequestContext, user_agent: bytes, referer: bytes) -> bytes:
    ip = context.ip
    return b'"received_at":%d,%b,"ip":%b,"user_agent":%b,"referer":%b,"s2s":%b' % (
        context.received_ms,
        context.prop.members,
        _NOTHING if ip is None else _encode(ip),
        user_agent,
        referer,
        b"true" if context.is_s2s else b"false",
    )


def _kept(text: str | None, most: int) -> bytes:
    return _NOTHING if text is None else _encode(shortened(text, most))


def record_line(
    log_id: bytes, sequence: int, context: RequestContext, members: bytes, session: Session, event: bytes
) -> bytes:
    """One line of the log. `members` are those of the request, and `event` is valid JSON without a line break."""
    return (
        b'{"id":"%b-%d",%b,"au_id":"%d","client_id":"%d.%d",'
        b'"session":{"id":%b,"start":%d,"hits":%d,"new":%b},"warnings":%b,"event":%b}\n'
    ) % (
        log_id,
        sequence,
        members,
        session.au_id,
        session.client_au_id,
        session.client_first_seen,
        b'"%d"' % session.sid if session.sid >= 0 else _NOTHING,
        session.start,
        session.hits,
        b"true" if session.is_new else b"false",
        _encode(context.warnings) if context.warnings else _NO_WARNINGS,
        event,
    )


def renumbered(record: bytes, log_id: bytes, sequence: int) -> bytes:
    """The same line at another place in the log."""
    return b'{"id":"%b-%d%b' % (log_id, sequence, record[record.index(b'",') :])
