"""One segment file: how it comes to be, what a block needs to count, and what the reader makes of anything else."""

import errno
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.wal.faulty_files import FaultyFiles
from tests.wal.logs import FILES, START_MS, damage, line, lines
from wal.errors import Broken, Corrupt
from wal.folder import LogFolder
from wal.format import (
    BLOCK_KIND,
    HEADER_BYTES,
    MAX_BLOCK_BYTES,
    SEGMENT_KIND,
    Position,
    SegmentName,
    crc32c,
    encode_header,
)
from wal.segment import SegmentReader
from wal.segment_writer import SegmentWriter

_ID = b"3f9c2a7100112233"
_NAME = SegmentName(7, 41)
_START = Position(7, HEADER_BYTES, 41)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path)


@pytest.fixture
def writer(folder: str, files: FaultyFiles) -> Iterator[SegmentWriter]:
    with closing(_writer(folder, files)) as writer:
        yield writer


@pytest.fixture
def reader(folder: str, writer: SegmentWriter) -> Iterator[SegmentReader]:
    with closing(SegmentReader(LogFolder(FILES, folder, _ID), _NAME)) as reader:
        yield reader


def _writer(folder: str, files: FaultyFiles) -> SegmentWriter:
    return SegmentWriter(
        LogFolder(files, folder, _ID), _NAME, predecessor_end=1234, previous=0xABC, timestamp_ms=START_MS
    )


def _write(writer: SegmentWriter, payload: bytes) -> None:
    writer.reserve(len(payload))
    writer.write(payload, payload.count(b"\n"), START_MS)
    writer.sync()


def _append(reader: SegmentReader, content: bytes) -> None:
    with Path(reader.path).open("ab") as file:
        file.write(content)


def _block(  # the block that would be right in an empty segment, but for what a test changes
    payload: bytes = b"{}\n",
    *,
    kind: bytes = BLOCK_KIND,
    log_id: bytes = _ID,
    place: Position = _START,
    records: int = 1,
    length: int | None = None,
) -> bytes:
    header, _ = encode_header(
        kind,
        log_id,
        place,
        records=records,
        length=len(payload) if length is None else length,
        durable=HEADER_BYTES,
        timestamp_ms=START_MS,
        previous=0,
        payload_crc=crc32c(payload),
    )
    return header + payload


def test_segments_are_listed_by_number_and_other_names_are_ignored(folder: str) -> None:
    names = [SegmentName(9, 1), SegmentName(10, 500), SegmentName(11, 10**15)]
    strangers = ["seg-1-1.ndjson", f"{names[0]}.tmp", "current.ndjson", "log.json", f"x{names[0]}"]
    for name in [*map(str, reversed(names)), *strangers]:
        Path(folder, name).touch()
    assert str(names[1]) == "seg-0000000010-0000000000000500.ndjson"
    assert LogFolder(FILES, folder).segments() == names
    assert LogFolder(FILES, f"{folder}/nowhere").segments() == []


def test_a_segment_gets_its_name_when_its_header_is_on_the_disk(folder: str, files: FaultyFiles) -> None:
    with closing(_writer(folder, files)):
        assert files.calls[:4] == ["create", "write", "sync_all", "rename"]
        with closing(SegmentReader(LogFolder(FILES, folder, _ID), _NAME)) as reader:
            header = reader.header()
    assert header.kind == SEGMENT_KIND
    assert (header.segment, header.offset, header.sequence) == (7, 0, 41)
    assert (header.durable, header.previous, header.timestamp_ms) == (1234, 0xABC, START_MS)


@pytest.mark.parametrize("call", ["create", "write", "sync_all", "rename"])
def test_a_segment_that_could_not_be_made_has_no_name_and_can_be_made_again(
    folder: str, files: FaultyFiles, call: str
) -> None:
    files.fail(call, errno.ENOSPC)
    with pytest.raises(OSError, match="No space"):
        _writer(folder, files)
    assert LogFolder(FILES, folder).segments() == []
    with closing(_writer(folder, files)):
        assert LogFolder(FILES, folder).segments() == [_NAME]


def test_the_symlink_points_to_the_segment_and_survives_a_leftover(folder: str, files: FaultyFiles) -> None:
    os.symlink("nowhere", f"{folder}/current.ndjson.tmp")
    with closing(_writer(folder, files)):
        assert os.readlink(f"{folder}/current.ndjson") == str(_NAME)
    assert not os.path.lexists(f"{folder}/current.ndjson.tmp")


def test_a_symlink_that_can_not_be_made_is_no_failure(folder: str, files: FaultyFiles) -> None:
    files.fail("symlink", errno.EPERM)
    with closing(_writer(folder, files)) as writer:
        _write(writer, line(1))
    assert LogFolder(FILES, folder).segments() == [_NAME]


def test_blocks_read_back_as_they_were_written(writer: SegmentWriter, reader: SegmentReader) -> None:
    payloads = [lines([1, 2]), b"", line(3)]
    for payload in payloads:
        _write(writer, payload)
    place, previous = _START, reader.header().header_crc
    for payload in payloads:
        block = reader.block(place.offset)
        assert block is not None
        reader.check_follows(block.header, place.sequence, previous)
        assert (block.payload, block.start, block.header.durable) == (payload, place, place.offset)
        place, previous = block.end, block.header.header_crc
    assert place == writer.end == Position(7, os.path.getsize(reader.path), 44)
    assert reader.block(place.offset) is None


def test_the_place_moves_when_the_block_is_synced_and_not_before(writer: SegmentWriter, files: FaultyFiles) -> None:
    before = writer.end
    writer.write(line(1), 1, START_MS)
    assert writer.end == before
    files.fail("sync", errno.EIO)
    with pytest.raises(OSError, match="Input/output"):
        writer.sync()
    assert writer.end == before


def test_room_is_reserved_for_many_blocks_without_growing_the_file_and_given_back(
    writer: SegmentWriter, reader: SegmentReader, files: FaultyFiles
) -> None:
    for number in range(20):
        _write(writer, line(number))
    assert files.calls.count("reserve") == 1
    assert os.path.getsize(reader.path) == writer.offset
    writer.seal()
    assert os.path.getsize(reader.path) == writer.offset
    assert os.stat(reader.path).st_blocks * 512 < 1 << 20


def test_more_room_is_reserved_when_a_block_does_not_fit(writer: SegmentWriter, files: FaultyFiles) -> None:
    writer.reserve(1)
    writer.reserve(1 << 20)
    assert files.calls.count("reserve") == 1
    for _ in range(2):  # a reservation that failed is asked for again
        files.fail("reserve", errno.ENOSPC, times=2)
        with pytest.raises(OSError, match="No space"):
            writer.reserve(17 << 20)
    writer.reserve(17 << 20)


def test_where_there_is_no_room_ahead_what_the_block_needs_is_reserved(
    writer: SegmentWriter, folder: str, files: FaultyFiles
) -> None:
    files.fail("reserve", errno.ENOSPC)
    writer.reserve(1000)
    assert os.stat(f"{folder}/{_NAME}").st_blocks * 512 < 1 << 20


def test_a_block_may_be_as_long_as_the_limit_and_no_longer(writer: SegmentWriter, reader: SegmentReader) -> None:
    payload = b'{"a":"%b"}\n' % (b"x" * (MAX_BLOCK_BYTES - 9))
    assert len(payload) == MAX_BLOCK_BYTES
    _write(writer, payload)
    block = reader.block(HEADER_BYTES)
    assert block is not None
    assert block.payload == payload
    place = writer.end
    _append(reader, _block(place=place, length=MAX_BLOCK_BYTES + 1))
    with pytest.raises(Corrupt, match=f"at most {MAX_BLOCK_BYTES} bytes"):
        reader.block(place.offset)


def test_a_block_that_is_cut_at_any_byte_is_not_there_yet(reader: SegmentReader) -> None:
    block = _block(line(1))
    for place in range(len(block)):
        assert reader.block(HEADER_BYTES) is None, f"{place} bytes"
        _append(reader, block[place : place + 1])
    found = reader.block(HEADER_BYTES)
    assert found is not None
    assert found.payload == line(1)


def test_bytes_behind_a_block_do_not_matter_to_it(reader: SegmentReader) -> None:
    _append(reader, _block(line(1)) + b"\0" * 1000)
    found = reader.block(HEADER_BYTES)
    assert found is not None
    with pytest.raises(Corrupt) as caught:
        reader.block(found.end.offset)
    assert (caught.value.path, caught.value.offset) == (reader.path, found.end.offset)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        pytest.param(_block(kind=SEGMENT_KIND), "header of a block", id="a segment header"),
        pytest.param(_block(log_id=b"0" * 16), "header of a block of this log", id="of another log"),
        pytest.param(_block(place=Position(8, HEADER_BYTES, 41)), "header of a block", id="of another segment"),
        pytest.param(_block(place=Position(7, HEADER_BYTES + 1, 41)), "header of a block", id="of another offset"),
        pytest.param(_block(records=2), "2 lines in 3 bytes, found a payload with another number", id="lines"),
        pytest.param(_block(b"{}"), "another number of lines", id="no LF at the end"),
        pytest.param(_block()[:-2] + b"]\n", "another CRC", id="payload"),
        pytest.param(b"\0" * 200, "header of a block", id="zeros"),
    ],
)
def test_a_block_that_is_not_right_here_is_corrupt(reader: SegmentReader, block: bytes, message: str) -> None:
    _append(reader, block)
    with pytest.raises(Corrupt, match=message) as caught:
        reader.block(HEADER_BYTES)
    assert caught.value.offset == HEADER_BYTES
    assert reader.path in str(caught.value)


@pytest.mark.parametrize("place", [0, 1, HEADER_BYTES // 2, HEADER_BYTES - 1])
def test_a_damaged_segment_header_is_corrupt(reader: SegmentReader, place: int) -> None:
    damage(Path(reader.path), place)
    with pytest.raises(Corrupt, match="header of segment 7 of this log"):
        reader.header()


@pytest.mark.parametrize(("log_id", "number"), [(b"0" * 16, 7), (_ID, 8)])
def test_a_segment_of_another_log_or_number_is_corrupt(
    writer: SegmentWriter, folder: str, log_id: bytes, number: int
) -> None:
    name = SegmentName(number, 41)
    if name != _NAME:
        os.rename(f"{folder}/{_NAME}", f"{folder}/{name}")
    with (
        closing(SegmentReader(LogFolder(FILES, folder, log_id), name)) as reader,
        pytest.raises(Corrupt, match=r"of this log|one of log"),
    ):
        reader.header()


@pytest.mark.parametrize(("sequence", "previous"), [(40, 0xABC), (42, 0xABC), (41, 0xABD)])
def test_a_header_follows_by_sequence_and_chain_or_not_at_all(
    reader: SegmentReader, sequence: int, previous: int
) -> None:
    header = reader.header()
    reader.check_follows(header, 41, 0xABC)
    reader.check_follows(header, 41, None)
    with pytest.raises(Broken, match=f"sequence {sequence} after header {previous:08x}, found sequence 41 after"):
        reader.check_follows(header, sequence, previous)
