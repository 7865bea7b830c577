"""Tells damage from a torn write, at a place without a whole block. Reads one segment; changes nothing."""

from collections.abc import Iterator
from typing import Final

from wal.damage import Damage, Kind
from wal.format import BLOCK_KIND, HEADER_BYTES, Header, Position, decode_header
from wal.segment import SegmentReader

_CHUNK_BYTES: Final = 1 << 20


def examine(
    reader: SegmentReader, place: Position, proven: Position | None, cause: str, *, whole: int
) -> Damage | None:
    """The damage at `place`, or None if the bytes may be a torn write.

    `proven` is a place up to which this segment is known to have been durable by evidence outside of it.
    `whole` is the offset up to which all blocks could be read: bytes cut out after it move headers before their places.
    """
    if proven is not None and proven.offset <= place.offset:
        proven = None
    own = reader.block_header(place.offset)
    shifted_end = place.sequence
    for at, header in headers_from(reader, whole):
        if proven is not None and at >= proven.offset:
            break
        if at != header.offset:
            shifted_end = max(shifted_end, header.sequence + header.records)
        elif at > place.offset and header.sequence >= place.sequence and (proven or header.durable > place.offset):
            good = Position(place.segment, at, header.sequence)
            return Damage(Kind.CORRUPT, place, _resume(own, good), cause)
    if proven is not None:
        return Damage(Kind.CORRUPT, place, _resume(own, proven), cause)
    if shifted_end > place.sequence:
        return Damage(Kind.SHIFTED, place, Position(place.segment, reader.size(), shifted_end), cause)
    return None


def _resume(own: Header | None, good: Position) -> Position:
    """Where reading resumes: after the damaged block if its own header is whole, else at the next good place."""
    if own is not None and own.end <= good.offset:
        return Position(good.segment, own.end, own.sequence + own.records)
    return good


def headers_from(reader: SegmentReader, offset: int, chunk_bytes: int = _CHUNK_BYTES) -> Iterator[tuple[int, Header]]:
    """The block headers of this log and segment from `offset` on, each with the offset where it was found.

    `chunk_bytes` are read at a time.
    """
    magic = b'["%b","%b",' % (BLOCK_KIND, reader.log_id)
    for start in range(offset, reader.size(), chunk_bytes):
        chunk = reader.raw(start, chunk_bytes + HEADER_BYTES - 1)
        at = chunk.find(magic)
        while 0 <= at < chunk_bytes:
            header = decode_header(chunk[at : at + HEADER_BYTES])
            if header and header.segment == reader.name.number:
                yield start + at, header
            at = chunk.find(magic, at + 1)
