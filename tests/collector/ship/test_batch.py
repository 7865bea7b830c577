"""Batches: bounds and token follow from the blocks, and from nothing else."""

from pathlib import Path

import pytest

from collector.ship.batch import Batch, BatchBuilder, Part, slice_batch
from wal.cursor import Intent
from wal.files import Files
from wal.folder import LogFolder
from wal.format import HEADER_BYTES, Position
from wal.log import Log
from wal.reader import Reader, read_all
from wal.segment import Block

NOW_MS = 1_576_222_602_123


def _blocks(folder: Path, *payloads: bytes, segment_bytes: int = 64 << 20) -> tuple[bytes, list[Block]]:
    """A log of these payloads, and its blocks with lines."""
    log = Log(str(folder), segment_bytes=segment_bytes, clock=lambda: NOW_MS)
    start = log.end
    for payload in payloads:
        log.commit(payload, payload.count(b"\n"))
    log.close()
    reader = Reader(LogFolder(Files(), str(folder)), start)
    blocks = [step for step in read_all(reader) if isinstance(step, Block) and step.header.records]
    reader.close()
    return log.log_id, blocks


def _cut(log_id: bytes, blocks: list[Block], sink: str = "sink") -> tuple[Batch, Intent]:
    cut = BatchBuilder(log_id, sink)
    for block in blocks:
        cut.add(block)
    made = cut.batch()
    assert made
    return made


def test_of_no_block_there_is_no_batch() -> None:
    assert BatchBuilder(b"0123456789abcdef", "sink").batch() is None


def test_a_batch_holds_each_block_with_its_time_sequences_and_lines(tmp_path: Path) -> None:
    log_id, blocks = _blocks(tmp_path, b'{"n":1}\n', b'{"n":2}\n{"n":3}\n', b'{"n":4}\n')
    batch, _ = _cut(log_id, blocks)
    assert batch.log_id == log_id.decode()
    crcs = [block.header.header_crc for block in blocks]
    assert batch.parts == (
        Part(NOW_MS, 1, 1, b'{"n":1}\n', crcs[0]),
        Part(NOW_MS, 2, 3, b'{"n":2}\n{"n":3}\n', crcs[1]),
        Part(NOW_MS, 4, 4, b'{"n":4}\n', crcs[2]),
    )


@pytest.mark.parametrize(("start", "size", "last_block"), [(1, 2, 1), (1, 1, 0), (3, 1, 1), (3, 0, 2)])
def test_the_chain_of_a_part_is_that_of_the_block_with_its_last_event(
    tmp_path: Path, start: int, size: int, last_block: int
) -> None:
    batch, _ = _cut(*_blocks(tmp_path, b'{"n":1}\n', b'{"n":2}\n{"n":3}\n', b'{"n":4}\n'))
    part = slice_batch(batch, start, size)
    assert part
    assert part.chain == f"{batch.parts[last_block].header_crc:08x}"
    assert part.parts[-1].payload in batch.parts[last_block].payload


def test_two_sinks_have_two_tokens_for_the_same_blocks(tmp_path: Path) -> None:
    log_id, blocks = _blocks(tmp_path, b'{"n":1}\n')
    assert _cut(log_id, blocks, "orders")[0].token != _cut(log_id, blocks, "audit")[0].token


def test_an_intent_reaches_from_the_first_block_to_behind_the_last(tmp_path: Path) -> None:
    log_id, blocks = _blocks(tmp_path, b'{"n":1}\n', b'{"n":2}\n', b'{"n":3}\n')
    length = HEADER_BYTES + len(b'{"n":1}\n')
    batch, intent = _cut(log_id, blocks[1:])
    first, last = HEADER_BYTES + length, HEADER_BYTES + 3 * length
    crc = f"{blocks[2].header.header_crc:08x}"
    assert batch.token == f"{log_id.decode()}:sink:1:{first}-1:{last}:{crc}"
    assert intent == Intent(Position(1, first, 2), Position(1, last, 4), batch.token)


def test_a_batch_can_reach_across_segments(tmp_path: Path) -> None:
    log_id, blocks = _blocks(tmp_path, b'{"n":1}\n', b'{"n":2}\n', segment_bytes=1)
    batch, intent = _cut(log_id, blocks)
    assert (intent.first.segment, intent.last.segment) == (1, 2)
    assert [part.first for part in batch.parts] == [1, 2]


def test_the_same_blocks_give_the_same_batch_and_others_another_token(tmp_path: Path) -> None:
    log_id, blocks = _blocks(tmp_path, *[b'{"n":1}\n'] * 4)
    ranges = [blocks[first:last] for first in range(4) for last in range(first + 1, 5)]
    batches: list[Batch] = [_cut(log_id, lengths)[0] for lengths in ranges]
    assert [_cut(log_id, list(lengths))[0] for lengths in ranges] == batches
    assert len({batch.token for batch in batches}) == len(ranges)


def test_two_logs_of_the_same_lines_give_two_tokens(tmp_path: Path) -> None:
    tokens = {_cut(*_blocks(tmp_path / name, b'{"n":1}\n'))[0].token for name in ("a", "b")}
    assert len(tokens) == 2
