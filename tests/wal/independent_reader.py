"""A reader of the log written from FORMAT.md alone: it shares no line with `wal`."""

import json
import pathlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

HEADER_BYTES = 148
LINE_BYTES = 1_048_576
PAYLOAD_BYTES = 8_388_608
SEQUENCE_LIMIT = 2**53
NONE = "00000000"

LOG_ID = re.compile(r"[0-9a-f]{16}")
NAME = re.compile(r"seg-([0-9]{10})-([0-9]{16})\.ndjson")
INTEGER = re.compile(rb" *(0|[1-9][0-9]*)")
HEADER = re.compile(
    rb'\["(EVS1|EVB1)","([0-9a-f]{16})",'
    rb"([ 0-9]{10}),([ 0-9]{12}),([ 0-9]{16}),([ 0-9]{7}),([ 0-9]{10}),([ 0-9]{12}),([ 0-9]{13}),"
    rb'"([0-9a-f]{8})","([0-9a-f]{8})","([0-9a-f]{8})"\]\n'
)


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return table


_TABLE = _crc_table()


def crc32c(data: bytes) -> str:
    """The CRC-32C of `data`, as the page writes it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return f"{crc ^ 0xFFFFFFFF:08x}"


@dataclass(frozen=True)
class Header:
    """The values of one header line."""

    kind: str
    log_id: str
    segment: int
    offset: int
    sequence: int
    records: int
    length: int
    durable: int
    timestamp_ms: int
    previous: str
    payload_crc: str
    header_crc: str


@dataclass(frozen=True)
class Segment:
    """One segment file as it was read, with its checked header."""

    path: pathlib.Path
    data: bytes
    header: Header


def read(directory: pathlib.Path) -> list[tuple[int, bytes]]:
    """Every event of the log in order: its sequence and its line without the LF."""
    log_id = _log_id(directory / "log.json")
    acked = _acked(directory / "cursors", log_id)  # first, so that a live writer can't be ahead of what is read next
    segments = [_segment(path, log_id) for path in _paths(directory)]
    events: list[tuple[int, bytes]] = []
    last: tuple[Header, int] | None = None
    for index, segment in enumerate(segments):
        follower = segments[index + 1] if index + 1 < len(segments) else None
        last = _read_segment(segment, follower, last[0] if last else None, events)
    end = (last[0].segment, last[1]) if last else (0, 0)
    for path, place in acked:
        if place > end:
            _damage(path, 0, f"the cursor is at {place}, the log ends at {end}")
    return events


def read_cursor(path: pathlib.Path) -> dict[str, Any]:
    """The cursor in this file, once its form and its crc are checked."""
    line = path.read_bytes().removesuffix(b"\n")
    before, _, after = line.rpartition(b',"crc"')
    if b"\n" in line or after != f':"{crc32c(before)}"}}'.encode():
        _damage(path, len(before), "the crc of the cursor is wrong")
    cursor = json.loads(line)
    if not isinstance(cursor, dict) or list(cursor) != ["v", "log_id", "consumer", "acked", "inflight", "crc"]:
        _damage(path, 0, "the members of the cursor are wrong")
    if cursor["v"] != 1 or cursor["consumer"] != path.stem or not _is_log_id(cursor["log_id"]):
        _damage(path, 0, "the version, the consumer or the log_id of the cursor is wrong")
    if not _is_place(cursor["acked"]) or not _is_inflight(cursor["inflight"]):
        _damage(path, 0, "a place in the cursor is wrong")
    return cursor


def _damage(path: pathlib.Path, byte: int, why: str) -> NoReturn:
    raise ValueError(f"{path}, byte {byte}: {why}")


def _is_log_id(value: object) -> bool:
    return isinstance(value, str) and LOG_ID.fullmatch(value) is not None


def _is_place(value: object) -> bool:
    return (
        isinstance(value, dict)
        and list(value) == ["seg", "off", "seq"]
        and all(type(number) is int and number >= 0 for number in value.values())
    )


def _is_inflight(value: object) -> bool:
    if value is None:
        return True
    if not isinstance(value, dict) or list(value) != ["from", "to", "token"]:
        return False
    return _is_place(value["from"]) and _is_place(value["to"]) and isinstance(value["token"], str)


def _log_id(path: pathlib.Path) -> str:
    value = json.loads(path.read_bytes())
    if not isinstance(value, dict) or value.get("v") != 1 or not _is_log_id(value.get("log_id")):
        _damage(path, 0, "this is no log.json of version 1")
    return str(value["log_id"])


def _acked(directory: pathlib.Path, log_id: str) -> list[tuple[pathlib.Path, tuple[int, int]]]:
    places = []
    for path in sorted(directory.glob("*.json")):
        cursor = read_cursor(path)
        if cursor["log_id"] != log_id:
            _damage(path, 0, "this is a cursor of another log")
        places.append((path, (cursor["acked"]["seg"], cursor["acked"]["off"])))
    return places


def _paths(directory: pathlib.Path) -> list[pathlib.Path]:
    return sorted(path for path in directory.iterdir() if NAME.fullmatch(path.name))


def _header(data: bytes, offset: int) -> Header | None:
    """The header that begins at this byte, or `None` if one byte of it is not as the page says."""
    line = data[offset : offset + HEADER_BYTES]
    match = HEADER.fullmatch(line)
    if match is None or crc32c(line[:137]) != match[12].decode():
        return None
    fields = [INTEGER.fullmatch(match[group]) for group in range(3, 10)]
    numbers = [int(field[1]) for field in fields if field is not None]
    if len(numbers) != len(fields):
        return None
    segment, place, sequence, records, length, durable, timestamp_ms = numbers
    return Header(
        kind=match[1].decode(),
        log_id=match[2].decode(),
        segment=segment,
        offset=place,
        sequence=sequence,
        records=records,
        length=length,
        durable=durable,
        timestamp_ms=timestamp_ms,
        previous=match[10].decode(),
        payload_crc=match[11].decode(),
        header_crc=match[12].decode(),
    )


def _segment(path: pathlib.Path, log_id: str) -> Segment:
    data = path.read_bytes()
    header = _header(data, 0)
    if header is None or header.kind != "EVS1" or header.offset != 0:
        _damage(path, 0, "there is no segment header")
    if header.log_id != log_id:
        _damage(path, 0, "this is a segment of another log")
    if path.name != f"seg-{header.segment:010}-{header.sequence:016}.ndjson":
        _damage(path, 0, "the name and the segment header differ")
    if (header.records, header.length, header.payload_crc) != (0, 0, NONE):
        _damage(path, 0, "a segment header has no payload")
    if not 1 <= header.sequence < SEQUENCE_LIMIT:
        _damage(path, 0, "the sequence is out of range")
    return Segment(path, data, header)


def _check_start(segment: Segment, before: Header | None) -> None:
    """A segment follows the last header of the one before it; segment 1 follows nothing."""
    header = segment.header
    if before is not None:
        if header.segment != before.segment + 1:
            _damage(segment.path, 0, f"segment {before.segment + 1} is missing")
        _check_follows(segment.path, header, before)
    elif header.segment == 0:
        _damage(segment.path, 0, "segments are counted from 1")
    elif header.segment == 1 and (header.sequence, header.durable, header.previous) != (1, 0, NONE):
        _damage(segment.path, 0, "segment 1 follows nothing")


def _check_follows(path: pathlib.Path, header: Header, before: Header) -> None:
    if header.sequence != before.sequence + before.records:
        _damage(path, header.offset, f"sequence {header.sequence} does not follow")
    if header.previous != before.header_crc:
        _damage(path, header.offset, "the chain of the headers is broken")


def _read_segment(
    segment: Segment, follower: Segment | None, before: Header | None, events: list[tuple[int, bytes]]
) -> tuple[Header, int]:
    """Append the events of this segment, and return its last header and the end of its valid bytes."""
    _check_start(segment, before)
    last = segment.header
    offset = HEADER_BYTES
    # What stands behind the end that the next segment names is void, whether it is a block or not.
    sealed = follower is not None and follower.header.segment == segment.header.segment + 1
    end = follower.header.durable if follower is not None and sealed else len(segment.data)
    data = segment.data[:end]
    while (header := _block(data, offset, last)) is not None:
        _check_block(segment.path, header, last)
        events.extend(_events(segment.path, data, header))
        last = header
        offset += HEADER_BYTES + header.length
    if not sealed:
        _check_torn(segment, offset)
    elif offset != end:
        _damage(segment.path, offset, f"there is no whole block, and the segment is valid up to byte {end}")
    return last, offset


def _block(data: bytes, offset: int, last: Header) -> Header | None:
    """The header of the block that begins here, or `None` if no whole block of this segment does."""
    header = _header(data, offset)
    if header is None or header.kind != "EVB1" or header.length > PAYLOAD_BYTES:
        return None
    if (header.log_id, header.segment, header.offset) != (last.log_id, last.segment, offset):
        return None
    payload = _payload(data, header)
    return header if len(payload) == header.length and crc32c(payload) == header.payload_crc else None


def _payload(data: bytes, header: Header) -> bytes:
    begin = header.offset + HEADER_BYTES
    return data[begin : begin + header.length]


def _check_block(path: pathlib.Path, header: Header, last: Header) -> None:
    _check_follows(path, header, last)
    if header.durable != header.offset:
        _damage(path, header.offset, "the durable of a block is its own offset")
    if header.sequence + header.records > SEQUENCE_LIMIT:
        _damage(path, header.offset, "the sequence is out of range")


def _events(path: pathlib.Path, data: bytes, header: Header) -> Iterator[tuple[int, bytes]]:
    payload = _payload(data, header)
    lines = payload.split(b"\n")
    if lines.pop() != b"" or len(lines) != header.records:
        _damage(path, header.offset, f"the payload is not {header.records} whole lines")
    begin = header.offset + HEADER_BYTES
    for sequence, line in enumerate(lines, header.sequence):
        if len(line) >= LINE_BYTES or not _is_object(line):
            _damage(path, begin, "this line is no event")
        yield sequence, line
        begin += len(line) + 1


def _is_object(line: bytes) -> bool:
    try:
        # Numbers stay text: how many digits one has is no matter of the log.
        return isinstance(json.loads(line.decode(), parse_int=str, parse_float=str), dict)
    except (ValueError, RecursionError):
        return False


def _check_torn(segment: Segment, offset: int) -> None:
    """Bytes at the very end are a torn write, unless a block header behind them proves that they were durable."""
    for match in re.finditer(rb'\["EVB1"', segment.data[offset:]):
        place = offset + match.start()
        header = _header(segment.data, place)
        if header is None or (header.log_id, header.segment) != (segment.header.log_id, segment.header.segment):
            continue
        if header.offset != place:
            _damage(segment.path, offset, f"the bytes are shifted: byte {place} was written for byte {header.offset}")
        if header.durable > offset:
            _damage(segment.path, offset, f"there is no whole block, and the block at byte {place} proves there was")
