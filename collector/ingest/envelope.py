"""The stored record, pure: the client's event as sent, inside what the collector knows of it."""

from typing import Final

import msgspec

from collector.ingest.session import Session
from collector.registry import Property

_NOTHING: Final = b"null"
_encode: Final = msgspec.json.encode


def envelope(
    *,
    log_id: bytes,
    sequence: int,
    received_ms: int,
    prop: Property,
    ip: str | None,
    user_agent: bytes | None,
    referer: bytes | None,
    is_s2s: bool,
    session: Session,
    event: bytes,
) -> bytes:
    """One line of the log. `event` is valid JSON without a line break; header values are bytes of Latin-1."""
    return (
        b'{"id":"%b-%d","received_at":%d,%b,"ip":%b,"user_agent":%b,"referer":%b,"s2s":%b,"au_id":"%d",'
        b'"client_id":"%d.%d","session":{"id":%b,"start":%d,"hits":%d,"new":%b},"warnings":[],"event":%b}\n'
    ) % (
        log_id,
        sequence,
        received_ms,
        prop.members,
        _NOTHING if ip is None else _encode(ip),
        _text(user_agent),
        _text(referer),
        b"true" if is_s2s else b"false",
        session.au_id,
        session.client_au_id,
        session.client_first_seen,
        b'"%d"' % session.sid if session.sid >= 0 else _NOTHING,
        session.start,
        session.hits,
        b"true" if session.is_new else b"false",
        event,
    )


def _text(header: bytes | None) -> bytes:
    return _NOTHING if header is None else _encode(header.decode("latin-1"))
