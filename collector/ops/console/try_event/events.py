"""Finds the events that a request of the view Try has stored: those of its property after the ends of the logs.

Blocks.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from collector.errors import UNDECODABLE
from collector.settings import PropertySettings
from wal.errors import WalError
from wal.files import Files
from wal.folder import logs_at
from wal.format import Position
from wal.reader import Reader, read_all
from wal.segment import Block
from wal.tools.listing import end_of_log

USER_AGENT: Final = "Tracklog console"
MOST_EVENTS: Final = 100
_WAIT_SECONDS: Final = 1.0
"""The log proves an event durable at most 0.1 s after its response."""
_POLL_SECONDS: Final = 0.05


class TriedRequest(NamedTuple):
    """A request: whose it was, its dialect, and Unix ms before and after it."""

    property: PropertySettings
    dialect: str
    begun_ms: int
    ended_ms: int


class _Record(Struct):
    id: str
    received_at: int
    portal_id: int
    prop_id: int
    user_agent: str | None = None
    dialect: str = "event"


_decode: Final = msgspec.json.Decoder(_Record).decode


def ends_of(directory: str) -> dict[str, Position]:
    """The end of each log, by its folder. Logs that can't be read are left out. Raises OSError."""
    found = {}
    for folder in logs_at(Files(), directory):
        try:
            end = end_of_log(folder)
        except (WalError, OSError):
            continue
        if end:
            found[folder.path] = end[0]
    return found


def stored_events(directory: str, ends: Mapping[str, Position], sent: TriedRequest) -> list[str]:
    """The ids of the events after these ends that a request has stored, once the log proves them durable.

    A record may lack the user agent, or have the one that its event told: then the property, the dialect and the time
    decide. Raises OSError.
    """
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        records = list(_records(directory, ends, sent))
        own = [record.id for record in records if record.user_agent == USER_AGENT]
        if records or time.monotonic() > deadline:
            return (own or [record.id for record in records])[:MOST_EVENTS]
        time.sleep(_POLL_SECONDS)


def _records(directory: str, ends: Mapping[str, Position], sent: TriedRequest) -> Iterator[_Record]:
    needle = b'"prop_id":%d,' % sent.property.prop_id
    for folder in logs_at(Files(), directory):
        try:
            start = ends.get(folder.path) or folder.oldest()
            if start is None:
                continue
            with closing(Reader(folder, start)) as reader:
                for step in read_all(reader):
                    if isinstance(step, Block) and needle in step.payload:
                        yield from _records_in(step.payload, sent)
        except WalError:
            continue


def _records_in(payload: bytes, sent: TriedRequest) -> Iterator[_Record]:
    expected = sent.property.portal_id, sent.property.prop_id, sent.dialect
    for line in payload.split(b"\n")[:-1]:
        try:
            record = _decode(line)
        except UNDECODABLE:
            continue
        is_then = sent.begun_ms <= record.received_at <= sent.ended_ms
        if is_then and (record.portal_id, record.prop_id, record.dialect) == expected:
            yield record
