"""Records as CloudEvents 1.0: the record is the data of an event, and its attributes follow from it.

The same record always becomes the same bytes.
"""

import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import islice
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import Meta, Struct

from collector.ship.batch import Record

SPECVERSION: Final = "1.0"
DATA_TYPE: Final = "application/json"
"""The content type of a record."""
BATCH_TYPE: Final = "application/cloudevents-batch+json"
_Ms = Annotated[int, Meta(ge=0, lt=10**13)]
"""Unix ms, as many digits as records have."""
_EPOCH: Final = datetime(1970, 1, 1)
_NO_NAME: Final = "event"
"""The type of an event that has neither `ec` nor `ea`."""
_CHUNK: Final = 100
"""Events made into JSON before other threads get their turn, as for Parquet."""


class _Event(Struct):
    ea: Any = None
    ec: Any = None


class _Record(Struct):
    """The members of which attributes are made. No other member is decoded."""

    id: str
    received_at: _Ms
    portal_id: int
    prop_id: int
    event: _Event
    occurred_at: _Ms | None = None


class Attributes(NamedTuple):
    """The attributes of an event that differ from record to record."""

    id: str
    source: str
    type: str
    time: str


_decode: Final = msgspec.json.Decoder(_Record).decode
_encode: Final = msgspec.json.encode


def attributes_of(line: bytes) -> Attributes:
    """The attributes of a record's line. Raises msgspec.DecodeError if the line is not a record."""
    try:
        record = _decode(line)
    except (RecursionError, UnicodeDecodeError) as error:
        raise msgspec.DecodeError(str(error)) from None
    occurred_ms = record.received_at if record.occurred_at is None else record.occurred_at
    return Attributes(
        record.id,
        f"/{record.portal_id}/{record.prop_id}",
        _type_of(record.event),
        f"{(_EPOCH + timedelta(milliseconds=occurred_ms)).isoformat(timespec='milliseconds')}Z",
    )


def batch_of(records: Iterable[Record]) -> bytes:
    """The records as a JSON array of events. Raises ValueError, which names the first line that is not a record."""
    events: list[bytes] = []
    left = iter(records)
    while chunk := list(islice(left, _CHUNK)):
        events += map(_event, chunk)
        time.sleep(0)
    return b"[%b]" % b",".join(events)


def _event(record: Record) -> bytes:
    try:
        attributes = attributes_of(record.line)
    except msgspec.DecodeError as error:
        raise ValueError(f"event {record.sequence} is not a record: {error}") from None
    return b'{"specversion":"1.0","id":%b,"source":"%b","type":%b,"time":"%b","datacontenttype":"%b","data":%b}' % (
        _encode(attributes.id),
        attributes.source.encode(),
        _encode(attributes.type),
        attributes.time.encode(),
        DATA_TYPE.encode(),
        record.line,
    )


def _type_of(event: _Event) -> str:
    """Category and action, without the characters that an attribute must not have."""
    text = ".".join([name for name in (event.ec, event.ea) if name and isinstance(name, str)]) or _NO_NAME
    return text if text.isprintable() else "".join([char if char.isprintable() else "\ufffd" for char in text])
