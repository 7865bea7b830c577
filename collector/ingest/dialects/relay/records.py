"""The body of a relay to its records, pure: lines as a node writes them, with events that we would accept too."""

import re
from collections.abc import Iterator
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from collector.errors import BadEvent
from collector.ingest.event import check_utf8
from collector.nesting import is_deeper
from collector.relays.marks import MAX_SEQUENCE
from collector.settings import Identifier, Limits
from collector.settings.fields import Name
from wal.format import MAX_LINE_BYTES

_BEGIN: Final = re.compile(rb'\{"id":"([0-9a-f]{16})-(0|[1-9][0-9]{0,15})",')
"""ASCII digits without leading zeros, because after a crash a record is found by the first bytes of its line."""


class _Object(Struct):
    """Any JSON object; its members are checked for syntax and skipped."""


class _Record(Struct):
    """The members on which every reader of a record relies."""

    id: str
    received_at: Annotated[int, Meta(ge=0, lt=10**13)]
    """Unix ms, as many digits as in the headers of the log's blocks."""
    portal_id: Identifier
    prop_id: Identifier
    source: Name
    s2s: bool
    au_id: Annotated[str, Meta(pattern=r"\A[0-9]{1,20}\Z")]
    event: _Object


_decode: Final = msgspec.json.Decoder(_Record).decode
_decode_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def records_in(body: bytes, log_id: str, limits: Limits) -> list[tuple[int, bytes]]:
    """The records in an inflated body, pairs of a sequence and a line with its LF.

    Raises BadEvent, which names the first wrong record; the sender finds it by halving the batch.
    """
    found: list[tuple[int, bytes]] = []
    for number, line in enumerate(_lines(body), 1):
        sequence = _sequence_of(line, log_id, number)
        name = f"{log_id}-{sequence}"
        if found and sequence <= found[-1][0]:
            raise BadEvent(f"record {name} comes after {found[-1][0]}; expected records in order of sequence")
        if fault := _fault_of(line, name, limits):
            raise BadEvent(f"record {name}: {fault}")
        found.append((sequence, line))
    if not found:
        raise BadEvent("the body is empty; expected one record a line, and LF after every record")
    return found


def _lines(body: bytes) -> Iterator[bytes]:
    """Yield the lines one by one: for a body of LFs alone, a list of lines would take many times its size."""
    start = 0
    while start < len(body):
        end = body.find(b"\n", start) + 1
        if not end:
            raise BadEvent("the last record is cut off; expected one record a line, and LF after every record")
        yield body[start:end]
        start = end


def _sequence_of(line: bytes, log_id: str, number: int) -> int:
    match = _BEGIN.match(line)
    if match is None or match[1] != log_id.encode():
        raise BadEvent(
            f'line {number} is not a record of log {log_id}; expected it to begin with {{"id":"{log_id}-<sequence>",'
        )
    sequence = int(match[2])
    if sequence > MAX_SEQUENCE:
        raise BadEvent(f"record {log_id}-{sequence}: expected a sequence of at most 2^53")
    return sequence


def _fault_of(line: bytes, name: str, limits: Limits) -> str | None:
    """Why our log must not have this line; None if it may."""
    try:
        _check(line, name, limits)
    except BadEvent as error:
        return error.refusal.message
    except msgspec.ValidationError as error:
        return str(error)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        return f"not JSON: {error}"
    return None


def _check(line: bytes, name: str, limits: Limits) -> None:
    """Check one line. Raises BadEvent, and the exceptions of decoding JSON."""
    if len(line) > MAX_LINE_BYTES:
        raise BadEvent(f"expected a line of at most {MAX_LINE_BYTES} bytes, found {len(line)}")
    if b"\r" in line:
        raise BadEvent("expected no CR")
    check_utf8(line)
    record, members = _decode(line), _decode_members(line)
    event = bytes(members["event"])
    if record.id != name or not _is_as_written(line, members, event):
        raise BadEvent("expected every member once, `event` as the last one, and no spaces between members")
    if len(event) > limits.event_bytes:
        raise BadEvent(f"the event is over the limit of {limits.event_bytes} bytes")
    # nearly every event has no more brackets than levels allowed, and needs no further check
    if event.count(b"{") + event.count(b"[") > limits.nesting and is_deeper(event, limits.nesting):
        raise BadEvent(f"the event is nested deeper than {limits.nesting} levels")


def _is_as_written(line: bytes, members: dict[str, msgspec.Raw], event: bytes) -> bool:
    """Whether a line consists of these members alone.

    If a name came twice, readers would differ in which member counts: one line could stand for different events.
    """
    head = b"".join([b'"%b":%b,' % (name.encode(), raw) for name, raw in members.items() if name != "event"])
    head = b'{%b"event":' % head
    return line.startswith(head) and line.endswith(b"}\n") and line[len(head) : -2].strip(b" \t") == event
