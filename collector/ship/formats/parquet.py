"""Events as Parquet: a row each, in columns that never change, and the client's JSON verbatim in `event`.

A value that does not fit its column is null there, and in `event` as it was sent. Of a line that is no record
at all, the columns `id`, `log_id` and `sequence` are set, and `event` is the line.
Import it only where a sink asks for it: pyarrow is an extra.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from operator import attrgetter
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Meta, Raw, Struct

from collector.errors import UNDECODABLE
from collector.ship.batch import Part, lines_of
from collector.ship.formats.encoding import Encoding, FileEvents

_TIME: Final = pa.timestamp("ms", "UTC")
SCHEMA: Final = pa.schema(
    [
        ("id", pa.string()),
        ("log_id", pa.string()),
        ("sequence", pa.int64()),
        ("received_at", _TIME),
        ("occurred_at", _TIME),
        ("portal_id", pa.int64()),
        ("prop_id", pa.int64()),
        ("source", pa.string()),
        ("ip", pa.string()),
        ("user_agent", pa.string()),
        ("referer", pa.string()),
        ("s2s", pa.bool_()),
        ("event_id", pa.string()),
        ("dialect", pa.string()),
        ("au_id", pa.string()),
        ("client_id", pa.string()),
        ("session_id", pa.string()),
        ("session_start", _TIME),
        ("session_hits", pa.int64()),
        ("session_new", pa.bool_()),
        ("warnings", pa.list_(pa.string())),
        ("ea", pa.string()),
        ("ec", pa.string()),
        ("sid", pa.string()),
        ("aid", pa.string()),
        ("uid", pa.string()),
        ("et", pa.string()),
        ("sent_at", pa.string()),
        ("event", pa.string()),
    ]
)
_REPETITIVE: Final = ["log_id", "source", "user_agent", "dialect", "ea", "ec"]
"""Columns that a dictionary makes smaller; for the others it costs time and is given up."""

_LONGEST: Final = 200
"""Characters of a message about a file."""
_CHUNK: Final = 100
"""Rows made into columns before other threads get their turn: it may take 5 ms then, and took 50 ms without."""

_Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_Seconds = Annotated[int, Meta(ge=-(2**50), le=2**50)]
"""So that their milliseconds fit."""
_ClientMs = Annotated[int, Meta(ge=-62_135_596_800_000, le=253_402_300_799_999)]
"""Unix ms in the years 1 to 9999: a client may send any time, and readers fail on a file with another."""
_Decoded = TypeVar("_Decoded", bound=Struct)


class _Session(Struct, frozen=True):
    id: str | None = None
    start: _Seconds | None = None
    hits: _Int64 | None = None
    new: bool | None = None


class _Record(Struct, frozen=True):
    id: str | None = None
    received_at: _Int64 | None = None
    occurred_at: _ClientMs | None = None
    portal_id: _Int64 | None = None
    prop_id: _Int64 | None = None
    source: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    referer: str | None = None
    s2s: bool | None = None
    event_id: str | None = None
    dialect: str | None = None
    au_id: str | None = None
    client_id: str | None = None
    session: _Session = _Session()
    warnings: list[str] | None = None
    event: Raw = Raw()


class _Event(Struct, frozen=True):
    ea: str | None = None
    ec: str | None = None
    sid: int | str | None = None
    aid: int | str | None = None
    uid: int | str | None = None
    et: Raw = Raw()
    sent_at: Raw = Raw()


class _Lenient(Generic[_Decoded]):
    """Decodes JSON objects; of one that does not fit, the members that do."""

    def __init__(self, kind: type[_Decoded]) -> None:
        self._kind = kind
        self._decode = msgspec.json.Decoder(kind).decode
        self._decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
        self._members = {field.name: msgspec.json.Decoder(field.type).decode for field in msgspec.structs.fields(kind)}

    def __call__(self, data: bytes | Raw) -> _Decoded:
        try:
            return self._decode(data)
        except UNDECODABLE:
            return self._kind(**dict(self._fitting(data)))

    def _fitting(self, data: bytes | Raw) -> Iterator[tuple[str, Any]]:
        with suppress(*UNDECODABLE):
            for name, raw in self._decode_members(data).items():
                with suppress(*UNDECODABLE, KeyError):
                    yield name, self._members[name](raw)


_decode_record: Final = _Lenient(_Record)
_decode_event: Final = _Lenient(_Event)
_decode_text: Final = msgspec.json.Decoder(str).decode
_own_columns: Final = attrgetter(
    *("received_at", "occurred_at", "portal_id", "prop_id", "source", "ip", "user_agent", "referer", "s2s"),
    *("event_id", "dialect", "au_id", "client_id"),
)
"""The members of a record that are columns as they are, in the order of SCHEMA."""


def _encode(log_id: str, parts: Sequence[Part]) -> bytes:
    events = (event for part in parts for event in lines_of(part))
    chunks = []
    while rows := [_row(log_id, sequence, line) for sequence, line in islice(events, _CHUNK)]:
        columns = zip(zip(*rows, strict=True), SCHEMA, strict=True)
        chunks.append(pa.record_batch([pa.array(values, field.type) for values, field in columns], schema=SCHEMA))
        time.sleep(0)
    file = pa.BufferOutputStream()
    table = pa.Table.from_batches(chunks, SCHEMA)
    pq.write_table(table, file, compression="zstd", use_dictionary=_REPETITIVE)
    return bytes(file.getvalue())


def _row(log_id: str, sequence: int, line: bytes) -> tuple[object, ...]:
    record = _decode_record(line)
    session = record.session
    sent = bytes(record.event) or line
    event = _decode_event(sent)
    return (
        record.id or f"{log_id}-{sequence}",
        log_id,
        sequence,
        *_own_columns(record),
        session.id,
        None if session.start is None else session.start * 1000,
        session.hits,
        session.new,
        record.warnings,
        event.ea,
        event.ec,
        _text(event.sid),
        _text(event.aid),
        _text(event.uid),
        _as_sent(event.et),
        _as_sent(event.sent_at),
        sent.decode(errors="replace"),
    )


def _text(value: int | str | None) -> str | None:
    return str(value) if isinstance(value, int) else value


def _as_sent(value: Raw) -> str | None:
    """A string, or the digits of a number; None for any other value."""
    written = bytes(value)
    if written.startswith(b'"'):
        with suppress(*UNDECODABLE):
            return _decode_text(written)
    return written.decode() if written[:1].isdigit() or written.startswith(b"-") else None


def _is_same(one: bytes, other: bytes) -> bool:
    """Whether both hold the same rows; another version of pyarrow may have written them as other bytes."""
    try:
        return bool(_table(one).equals(_table(other)))
    except (pa.ArrowException, OSError):
        return False


def _table(content: bytes, columns: list[str] | None = None) -> pa.Table:
    return pq.read_table(pa.BufferReader(content), columns=columns, use_threads=False)


def _events(log_id: str, content: bytes) -> FileEvents:
    try:
        table = _table(content, ["log_id", "sequence"])
        logs = table.column("log_id").unique().to_pylist()
        sequences: list[int] = table.column("sequence").to_pylist()
    except (pa.ArrowException, OSError, KeyError) as error:
        raise ValueError(f"it is not whole: {error}") from None
    if logs not in ([], [log_id]) or None in sequences:
        raise ValueError(f"an event of another log: {logs!r}"[:_LONGEST])
    return FileEvents(sequences)


ENCODING: Final = Encoding(".parquet", "application/vnd.apache.parquet", _encode, _is_same, _events)
