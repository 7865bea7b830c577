"""FORMAT.md says what the code does: its table, its limits and its examples are read from the page."""

import os
import re
from contextlib import closing
from pathlib import Path

import pytest

from tests.wal.logs import FILES, Clock, damage, read_blocks
from wal import format as wal_format
from wal.cursor import Cursor, Intent
from wal.damage import Kind
from wal.folder import LogFolder
from wal.format import FIELDS, HEADER_BYTES, MAX_BLOCK_BYTES, MAX_LINE_BYTES, Position, crc32c
from wal.log import SEGMENT_BYTES, SEGMENT_SECONDS, Log
from wal.segment import SegmentReader

_PAGE = (Path(wal_format.__file__).parent / "FORMAT.md").read_text()
_LOG_ID = b"3f9c2a7100112233"


def _block(language: str) -> bytes:
    (found,) = re.findall(rf"```{language}\n(.*?)```", _PAGE, re.DOTALL)
    return str(found).encode()


@pytest.fixture
def identified(directory: str) -> str:
    """A log directory with the identity of the page's example, and nothing else."""
    os.mkdir(directory)
    found = re.search(r'`(\{"v":1,"log_id":"3f9c2a7100112233"\})`', _PAGE)
    assert found
    Path(directory, "log.json").write_text(found[1] + "\n")
    return directory


def test_the_table_of_the_page_is_the_table_of_the_code() -> None:
    rows = re.findall(r"^\| (\w+) \| (\d+) \| (\d+) \|", _PAGE, re.MULTILINE)
    assert tuple((name, int(first), int(width)) for name, first, width in rows) == FIELDS


def test_the_limits_of_the_page_are_the_limits_of_the_code() -> None:
    section = _PAGE.partition("## Limits")[2].partition("\n## ")[0]
    limits = [int(number) for number in re.findall(r"\| (\d+) \|", section)]
    assert limits == [HEADER_BYTES, MAX_LINE_BYTES, MAX_BLOCK_BYTES]
    assert f"{SEGMENT_BYTES >> 20} MiB or {SEGMENT_SECONDS} s" in section


def test_the_crc_covers_what_the_page_says() -> None:
    found = re.search(r"CRC-32C of bytes 0 to (\d+) of this line", _PAGE)
    assert found
    for line in _block("ndjson").splitlines():
        if line.startswith(b"["):
            assert line[137:145] == b"%08x" % crc32c(line[: int(found[1]) + 1])
    assert f"the CRC of `123456789` is `{crc32c(b'123456789'):08x}`" in _PAGE


def test_the_example_decodes(identified: str) -> None:
    found = re.search(r"`(seg-\d+-\d+\.ndjson)`, (\d+) bytes", _PAGE)
    assert found
    Path(identified, found[1]).write_bytes(_block("ndjson"))
    (name,) = LogFolder(FILES, identified).segments()
    with closing(SegmentReader(LogFolder(FILES, identified, _LOG_ID), name)) as segment:
        assert segment.size() == int(found[2])
        assert segment.header().durable == 0
    blocks = read_blocks(identified)
    assert [(block.header.offset, block.payload) for block in blocks] == [(148, b'{"a":1}\n{"a":2}\n'), (312, b"")]
    assert blocks[-1].end == Position(1, int(found[2]), 3)


def test_the_example_is_what_the_code_writes(identified: str, clock: Clock) -> None:
    with closing(Log(identified, clock=clock)) as log:
        log.commit(b'{"a":1}\n{"a":2}\n', 2)
    assert Path(identified, "current.ndjson").read_bytes() == _block("ndjson")


def test_the_cursor_of_the_page_loads(identified: str) -> None:
    os.mkdir(os.path.join(identified, "cursors"))
    Path(identified, "cursors", "file.json").write_bytes(_block("json"))
    start, end = Position(1, 148, 1), Position(1, 312, 3)
    assert LogFolder(FILES, identified, _LOG_ID).cursor("file") == Cursor(start, Intent(start, end, "t-1"))


def test_the_damage_ledger_is_what_the_code_writes(identified: str, clock: Clock) -> None:
    with closing(Log(identified, clock=clock)) as log:
        log.commit(b'{"a":1}\n{"a":2}\n', 2)
    damage(Path(identified, "current.ndjson"), HEADER_BYTES * 2 + 5)
    Log(identified).close()
    written = Path(identified, "damage.ndjson").read_bytes()
    assert written.replace(identified.encode(), b"data/log/00") == _block("jsonl")


def test_the_page_names_every_kind_of_damage() -> None:
    found = re.search(r"`kind` is `(\w+)`, `(\w+)` or `(\w+)`", _PAGE)
    assert found
    assert list(found.groups()) == list(Kind)
