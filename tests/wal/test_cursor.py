"""Cursors: saved whole or not at all, and never read when a byte of them is wrong."""

import errno
import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wal.faulty_files import FaultyFiles
from tests.wal.logs import FILES
from wal.cursor import Cursor, Intent
from wal.errors import Corrupt
from wal.folder import LogFolder
from wal.format import Position, crc32c

_ID = b"3f9c2a7100112233"
_OLD = Cursor(Position(1, 148, 1))
_NEW = Cursor(Position(1, 148, 1), Intent(Position(1, 148, 1), Position(2, 9000, 77), 'a "token" of ü'))

_places = st.builds(Position, st.integers(1, 10**10), st.integers(0, 10**12), st.integers(1, 2**53))
_counts = st.integers(0, 2**53)
_cursors = st.builds(Cursor, _places, st.none() | st.builds(Intent, _places, _places, st.text(), _counts, _counts))


@pytest.fixture
def path(directory: str) -> Path:
    """The file of the cursor of `file`, which is _NEW."""
    LogFolder(FILES, directory, _ID).save_cursor("file", _NEW)
    return Path(directory, "cursors", "file.json")


def _load(path: Path, log_id: bytes = _ID) -> Cursor | None:
    return LogFolder(FILES, str(path.parents[1]), log_id).cursor(path.stem)


@settings(deadline=None, max_examples=50)
@given(_cursors)
def test_a_cursor_loads_as_it_was_saved(cursor: Cursor) -> None:
    with tempfile.TemporaryDirectory() as directory:
        for saved in (_OLD, cursor):
            LogFolder(FILES, directory, _ID).save_cursor("file", saved)
            assert LogFolder(FILES, directory, _ID).cursor("file") == saved


def test_a_consumer_without_a_cursor_has_none(directory: str, path: Path) -> None:
    assert LogFolder(FILES, directory, _ID).cursor("other") is None
    assert LogFolder(FILES, f"{directory}/nowhere", _ID).cursor("file") is None


def test_a_cursor_is_one_line_of_json_that_ends_in_its_crc(path: Path) -> None:
    content = path.read_bytes()
    assert content.index(b"\n") == len(content) - 1
    value = json.loads(content)
    assert list(value) == ["v", "log_id", "consumer", "acked", "inflight", "crc"]
    assert value["acked"] == {"seg": 1, "off": 148, "seq": 1}
    assert value["inflight"]["to"] == {"seg": 2, "off": 9000, "seq": 77}
    assert int(value["crc"], 16) == crc32c(content[: content.index(b',"crc"')])


def test_a_cursor_with_any_bit_flipped_is_corrupt(path: Path) -> None:
    content = path.read_bytes()
    for place in range(len(content)):
        for bit in range(8):
            changed = bytearray(content)
            changed[place] ^= 1 << bit
            path.write_bytes(changed)
            with pytest.raises(Corrupt, match=str(path)):
                _load(path)


def test_a_cursor_that_is_cut_or_has_bytes_behind_it_is_corrupt(path: Path) -> None:
    content = path.read_bytes()
    for changed in [*(content[:length] for length in range(len(content))), content + b"\n", bytes(len(content))]:
        path.write_bytes(changed)
        with pytest.raises(Corrupt, match="a cursor with its CRC"):
            _load(path)


def test_a_cursor_of_another_log_consumer_or_version_is_corrupt(path: Path) -> None:
    with pytest.raises(Corrupt, match="on log 0000000000000000, found one of file on log 3f9c2a7100112233"):
        _load(path, b"0" * 16)
    with pytest.raises(Corrupt, match="a cursor of other"):
        _load(path.rename(path.with_stem("other")))
    text = path.with_stem("other").read_bytes().rpartition(b',"crc"')[0]
    for changed, found in {
        text.replace(b'"v":1', b'"v":2'): "expected a cursor of version 1, found version 2",
        b'{"v":2,"log":"moved","place":{}': "expected a cursor of version 1, found version 2",
        text.replace(b'"acked"', b'"acknowledged"'): "expected the members of a cursor, found KeyError",
        text.replace(b'"seq"', b'"sequence"'): "expected the members of a cursor, found KeyError",
        b"[1": "the members of a cursor",
    }.items():
        path.write_bytes(b'%b,"crc":"%08x"}\n' % (changed, crc32c(changed)))
        with pytest.raises(Corrupt, match=found):
            _load(path)


@pytest.mark.parametrize("call", ["create", "write", "sync_all", "rename"])
def test_a_save_that_fails_leaves_the_cursor_as_it_was(
    directory: str, path: Path, files: FaultyFiles, call: str
) -> None:
    files.fail(call, errno.ENOSPC)
    with pytest.raises(OSError, match="No space left"):
        LogFolder(files, directory, _ID).save_cursor("file", _OLD)
    assert _load(path) == _NEW
    LogFolder(files, directory, _ID).save_cursor("file", _OLD)
    assert _load(path) == _OLD


def test_a_save_is_durable_before_it_returns(directory: str, path: Path, files: FaultyFiles) -> None:
    LogFolder(files, directory, _ID).save_cursor("file", _OLD)
    assert files.calls == ["create", "write", "sync_all", "rename", "sync_directory"]


def test_the_folder_of_cursors_is_durable_before_the_first_one(directory: str, files: FaultyFiles) -> None:
    LogFolder(files, directory, _ID).ensure_cursor("file", _OLD.acked)
    assert files.calls[-6:] == ["sync_directory", "create", "write", "sync_all", "rename", "sync_directory"]
    assert LogFolder(FILES, directory, _ID).cursor("file") == _OLD


def test_a_cursor_that_is_there_is_not_moved_to_the_start(directory: str, path: Path, files: FaultyFiles) -> None:
    LogFolder(files, directory, _ID).ensure_cursor("file", Position(7, 148, 700))
    assert _load(path) == _NEW
    assert files.calls == ["sync_directory"], "whoever made the folder may have ended before that"


def test_a_dropped_cursor_is_gone_for_good(directory: str, path: Path, files: FaultyFiles) -> None:
    assert LogFolder(files, directory).drop_cursor("file")
    assert files.calls == ["unlink", "sync_directory"]
    assert LogFolder(FILES, directory).consumers() == []
    assert not LogFolder(files, directory).drop_cursor("file")


def test_short_writes_lose_nothing_of_a_cursor(directory: str, path: Path, files: FaultyFiles) -> None:
    files.longest_write = 3
    LogFolder(files, directory, _ID).save_cursor("file", _OLD)
    assert _load(path) == _OLD


def test_consumers_are_those_with_a_cursor(directory: str, path: Path) -> None:
    LogFolder(FILES, directory, _ID).save_cursor("a.b", _OLD)
    for name in ("file.json.tmp", "notes.txt"):
        path.with_name(name).touch()
    assert LogFolder(FILES, directory).consumers() == ["a.b", "file"]
    assert LogFolder(FILES, f"{directory}/nowhere").consumers() == []
    assert sorted(os.listdir(path.parent)) == ["a.b.json", "file.json", "file.json.tmp", "notes.txt"]


@pytest.mark.parametrize(
    ("intent", "settled"), [(None, 1), (_NEW.intent, 1), (Intent(_OLD.acked, _OLD.acked, "", next=9), 9)]
)
def test_events_are_settled_up_to_the_place_within_the_batch_under_way(intent: Intent | None, settled: int) -> None:
    assert Cursor(_OLD.acked, intent).settled == settled
