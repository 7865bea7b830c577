"""A batch: a range of whole blocks, whose bounds and token are a function of durable state; or a part of one."""

from collections.abc import Iterator
from typing import NamedTuple

from wal.cursor import Intent
from wal.segment import Block


class Part(NamedTuple):
    """Events of one block: when it was committed (Unix ms), their first and last sequence, their JSON lines."""

    timestamp_ms: int
    first: int
    last: int
    payload: bytes


class Event(NamedTuple):
    """One event of a batch: when it was committed (Unix ms), its sequence, and its JSON line without the LF."""

    timestamp_ms: int
    sequence: int
    line: bytes


class Batch(NamedTuple):
    """What a sink gets. The same token always names the same bytes."""

    log_id: str
    token: str
    parts: tuple[Part, ...]
    replay: str = ""
    """The name of the replay that sends these events once more; empty when they go out for the first time."""

    @property
    def first(self) -> int:
        """The sequence of the first event."""
        return self.parts[0].first

    @property
    def last(self) -> int:
        """The sequence of the last event."""
        return self.parts[-1].last

    @property
    def payload(self) -> bytes:
        """All JSON lines, each ending in LF."""
        return b"".join([part.payload for part in self.parts])

    @property
    def records(self) -> int:
        """How many events there are."""
        return sum(part.last - part.first + 1 for part in self.parts)

    def events(self) -> Iterator[Event]:
        """The events one by one."""
        for part in self.parts:
            for sequence, line in enumerate(part.payload.split(b"\n")[:-1], part.first):
                yield Event(part.timestamp_ms, sequence, line)


def cut(log_id: bytes, blocks: list[Block]) -> tuple[Batch, Intent]:
    """The batch of these blocks, none of them empty of records, and the intent that is to be durable before it."""
    first, last = blocks[0].start, blocks[-1].header
    token = f"{log_id.decode()}:{first.segment}:{first.offset}-{last.segment}:{last.end}:{last.header_crc:08x}"
    parts = tuple(_part(block) for block in blocks)
    return Batch(log_id.decode(), token, parts), Intent(first, blocks[-1].end, token)


def part_of(batch: Batch, start: int, size: int) -> Batch | None:
    """The events of a batch from sequence `start` on, at most `size` of them (0: all); None where there is none.

    Its token follows from that of the batch, which it shares where it is the whole batch.
    """
    if batch.parts and start <= batch.first and not size:  # to slice thousands of blocks takes milliseconds
        return batch
    left = size or batch.records
    parts = []
    for part in batch.parts:
        skipped = max(0, start - part.first)
        taken = min(part.last - part.first + 1 - skipped, left)
        if taken > 0:
            parts.append(_slice(part, skipped, taken))
            left -= taken
    if not parts:
        return None
    found = batch._replace(parts=tuple(parts))
    is_whole = found.records == batch.records
    return found if is_whole else found._replace(token=f"{batch.token}+{found.first}-{found.last}")


def _slice(part: Part, skipped: int, taken: int) -> Part:
    if taken == part.last - part.first + 1:
        return part
    lines = part.payload.split(b"\n")[skipped : skipped + taken]
    first = part.first + skipped
    return Part(part.timestamp_ms, first, first + taken - 1, b"\n".join(lines) + b"\n")


def _part(block: Block) -> Part:
    header = block.header
    return Part(header.timestamp_ms, header.sequence, header.sequence + header.records - 1, block.payload)
