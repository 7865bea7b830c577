"""Format EVW1, pure: header bytes to values and back. FORMAT.md describes it, and a test compares the two.

Owns every width, limit and checksum of the format, and the names of segments. Touches no file.
"""

import re
from collections.abc import Callable
from typing import Final, NamedTuple, Self

import google_crc32c

from wal.errors import RecordTooLarge

HEADER_BYTES: Final = 148
MAX_LINE_BYTES: Final = 1 << 20
MAX_BLOCK_BYTES: Final = 8 << 20
"""Bytes of payload in one block. Writer and reader share these limits, so that one accepts what the other does."""

SEGMENT_KIND: Final = b"EVS1"
BLOCK_KIND: Final = b"EVB1"
crc32c: Final[Callable[[bytes], int]] = google_crc32c.value
"""CRC-32C (Castagnoli); 0 for empty bytes."""

# (field, first byte of its value in the line, width in bytes), in the order of the line.
FIELDS: Final = (
    ("kind", 2, 4),
    ("log_id", 9, 16),
    ("segment", 27, 10),
    ("offset", 38, 12),
    ("sequence", 51, 16),
    ("records", 68, 7),
    ("length", 76, 10),
    ("durable", 87, 12),
    ("timestamp_ms", 100, 13),
    ("previous", 115, 8),
    ("payload_crc", 126, 8),
    ("header_crc", 137, 8),
)
_LINE: Final = b'["%b","%b",%10d,%12d,%16d,%7d,%10d,%12d,%13d,"%08x","%08x","'
_CHECKED_BYTES: Final = 137
_SLICES: Final = tuple(slice(first, first + width) for _, first, width in FIELDS)
_HEXADECIMAL: Final = 9
"""Index in FIELDS of the first field that is written in base 16."""
_NAME: Final = re.compile(r"seg-(\d{10})-(\d{16})\.ndjson")


def count_lines(payload: bytes) -> int:
    """The number of LFs, in a sixth of the time of `bytes.count` if lines are long."""
    return len(payload) - len(payload.replace(b"\n", b""))


def check_lines(lines: bytes, records: int, length: int) -> None:
    """Raise RecordTooLarge for `length` bytes over the limits, and ValueError unless they are `records` JSON lines.

    Only the number of lines and both ends of the bytes are compared: the ends of inner lines would cost 0.5 us a line.
    """
    if length > MAX_LINE_BYTES:
        if length > MAX_BLOCK_BYTES:
            raise RecordTooLarge(f"{length} bytes in one append, the limit is {MAX_BLOCK_BYTES}")
        if max(map(len, lines.split(b"\n"))) >= MAX_LINE_BYTES:
            raise RecordTooLarge(f"a line is over the limit of {MAX_LINE_BYTES} bytes")
    are_counted = lines.find(b"\n") == length - 1 if records == 1 else count_lines(lines) == records
    if not are_counted or lines[:1] != b"{" or lines[-2:] != b"}\n":
        raise ValueError(f"not {records} lines of a JSON object each: {lines[:60]!r}")


class Header(NamedTuple):
    """One header line. Sizes and offsets in bytes, timestamp in Unix milliseconds."""

    kind: bytes
    log_id: bytes
    segment: int
    offset: int
    sequence: int
    records: int
    length: int
    durable: int
    timestamp_ms: int
    previous: int
    payload_crc: int
    header_crc: int

    @property
    def end(self) -> int:
        """Offset of the first byte after this header and its payload."""
        return self.offset + HEADER_BYTES + self.length


class Position(NamedTuple):
    """A place between two blocks, and the sequence of the first event at or after it. Positions of one log compare."""

    segment: int
    offset: int
    sequence: int


class SegmentName(NamedTuple):
    """A segment by number and first sequence; its string is the file's name."""

    number: int
    sequence: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The segment whose file has this name; None for the name of another file."""
        match = _NAME.fullmatch(text)
        return cls(int(match[1]), int(match[2])) if match else None

    @property
    def start(self) -> Position:
        """The place of the first block."""
        return Position(self.number, HEADER_BYTES, self.sequence)

    def __str__(self) -> str:
        return f"seg-{self.number:010d}-{self.sequence:016d}.ndjson"


def encode_header(
    kind: bytes,
    log_id: bytes,
    position: Position,
    *,
    records: int,
    length: int,
    durable: int,
    timestamp_ms: int,
    previous: int,
    payload_crc: int,
) -> tuple[bytes, int]:
    """The header line for `position`, and its own CRC, which is the `previous` of the next header."""
    numbers = (*position, records, length, durable, timestamp_ms, previous, payload_crc)
    checked = _LINE % (kind, log_id, *numbers)
    if len(checked) != _CHECKED_BYTES:
        raise ValueError(f"a header value is wider than its field: {checked!r}")
    header_crc = crc32c(checked)
    return b'%b%08x"]\n' % (checked, header_crc), header_crc


def decode_header(line: bytes) -> Header | None:
    """The header in these bytes, or None unless `encode_header` would write exactly the same bytes."""
    if len(line) != HEADER_BYTES or line[:2] != b'["':
        return None
    kind, log_id, *texts = [line[place] for place in _SLICES]
    if kind not in (BLOCK_KIND, SEGMENT_KIND):
        return None
    try:
        numbers = [int(text, 16 if at >= _HEXADECIMAL else 10) for at, text in enumerate(texts, 2)]
        header = Header(kind, log_id, *numbers)
        if min(numbers) < 0 or _encode(header) != line:
            return None
    except ValueError:
        return None
    return header


def _encode(header: Header) -> bytes:
    return encode_header(
        header.kind,
        header.log_id,
        Position(header.segment, header.offset, header.sequence),
        records=header.records,
        length=header.length,
        durable=header.durable,
        timestamp_ms=header.timestamp_ms,
        previous=header.previous,
        payload_crc=header.payload_crc,
    )[0]


def payload_fault(header: Header, payload: bytes) -> str | None:
    """How `payload` differs from the one that `header` announces, or None. Goes to damage.ndjson as the cause."""
    if len(payload) != header.length:
        return f"{len(payload)} bytes of payload"
    if header.payload_crc != crc32c(payload):
        return "a payload with another CRC"
    if count_lines(payload) != header.records or payload[-1:] not in (b"", b"\n"):
        return "a payload with another number of lines"
    return None
