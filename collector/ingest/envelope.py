"""The stored record, pure: the client's event as sent, inside what the collector knows of it."""

from typing import Final

import msgspec
from msgspec import Struct

from collector.ingest.session import Session
from collector.registry import Property

_NOTHING: Final = b"null"
_NO_WARNINGS: Final = b"[]"
_encode: Final = msgspec.json.encode


class Visit(Struct, frozen=True, gc=False):  # made in 0.1 us, a tuple in 0.3
    """What is known of a request beside its event, as far as the property lets it be stored."""

    prop: Property
    received_ms: int
    ip: str | None
    user_agent: str | None
    referer: str | None
    is_s2s: bool
    warnings: list[str]


def members_of(visit: Visit) -> bytes:
    """What the records of all events of a request say alike."""
    ip, user_agent, referer = visit.ip, visit.user_agent, visit.referer
    return b'"received_at":%d,%b,"ip":%b,"user_agent":%b,"referer":%b,"s2s":%b' % (
        visit.received_ms,
        visit.prop.members,
        _NOTHING if ip is None else _encode(ip),
        _NOTHING if user_agent is None else _encode(user_agent),
        _NOTHING if referer is None else _encode(referer),
        b"true" if visit.is_s2s else b"false",
    )


def envelope(log_id: bytes, sequence: int, visit: Visit, members: bytes, session: Session, event: bytes) -> bytes:
    """One line of the log. `members` are those of the visit, and `event` is valid JSON without a line break."""
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
        _encode(visit.warnings) if visit.warnings else _NO_WARNINGS,
        event,
    )
