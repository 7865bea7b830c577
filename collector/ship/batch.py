"""A batch: a range of whole blocks, whose bounds and token are a function of durable state."""

from typing import NamedTuple

from wal.cursor import Intent
from wal.segment import Block


class Part(NamedTuple):
    """One block of a batch: when it was committed (Unix ms), its first and last sequence, its JSON lines."""

    timestamp_ms: int
    first: int
    last: int
    payload: bytes


class Batch(NamedTuple):
    """What a sink gets. The same token always names the same bytes."""

    log_id: str
    token: str
    parts: tuple[Part, ...]


def cut(log_id: bytes, blocks: list[Block]) -> tuple[Batch, Intent]:
    """The batch of these blocks, none of them empty of records, and the intent that is to be durable before it."""
    first, last = blocks[0].start, blocks[-1].header
    token = f"{log_id.decode()}:{first.segment}:{first.offset}-{last.segment}:{last.end}:{last.header_crc:08x}"
    parts = tuple(_part(block) for block in blocks)
    return Batch(log_id.decode(), token, parts), Intent(first, blocks[-1].end, token)


def _part(block: Block) -> Part:
    header = block.header
    return Part(header.timestamp_ms, header.sequence, header.sequence + header.records - 1, block.payload)
