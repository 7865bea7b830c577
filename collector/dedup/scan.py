"""Finds the ids in the records of a block, pure.

A record with an id has the member `event_id` before its `event`. Before that there is no object with members of the
client's, and in a string each quote has a backslash: so the first match in a line is the member, or there is none.
"""

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct

_MEMBER: Final = b'"event_id":"'
_EVENT: Final = b',"event":'


class Found(Struct, frozen=True):
    """The members of a record that the index needs."""

    id: str
    received_at: int
    portal_id: int
    prop_id: int
    event_id: str
    dialect: str | None = None


_decode: Final = msgspec.json.Decoder(Found).decode


def found_in(payload: bytes, log_id: bytes) -> Iterator[tuple[int, Found]]:
    """The records with an id, each with its sequence. Lines without one cost no more than a search of their bytes.

    Relayed records are left out: they have the id of another node's log, and that node has their ids.
    """
    own = b'{"id":"%b-' % log_id
    at = payload.find(_MEMBER)
    while at >= 0:
        start = payload.rfind(b"\n", 0, at) + 1
        end = payload.find(b"\n", at)
        if payload.startswith(own, start):
            event = payload.find(_EVENT, start, end)
            if (record := _head(payload, start, event)) is not None and at < event:
                yield int(record.id.rpartition("-")[2]), record
        at = payload.find(_MEMBER, end)


def _head(payload: bytes, start: int, event: int) -> Found | None:
    """The members before the event; None if they are not those of a record with an id."""
    try:
        return _decode(payload[start:event] + b"}")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
