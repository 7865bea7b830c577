"""What the log writes can be read by a reader that knows nothing but the page."""

import ast
import pathlib
import sys
from contextlib import closing

import pytest

from tests.wal import independent_reader
from tests.wal.independent_reader import read, read_cursor
from wal.cursor import Cursor
from wal.files import Files
from wal.folder import LogFolder
from wal.format import Position
from wal.log import Log

Events = list[tuple[int, bytes]]


def open_log(directory: pathlib.Path, segment_bytes: int = 600) -> Log:
    return Log(str(directory), segment_bytes=segment_bytes, clock=lambda: 1_700_000_000_000)


def commit(log: Log, commits: int) -> Events:
    """Commit two events at a time, and return all of them as a reader should see them."""
    lines = [b'{"n":%d}' % number for number in range(1, 2 * commits + 1)]
    for one, two in zip(lines[::2], lines[1::2], strict=True):
        log.commit(one + b"\n" + two + b"\n", 2)
    return list(enumerate(lines, 1))


def write(directory: pathlib.Path, commits: int, segment_bytes: int = 600) -> Events:
    with closing(open_log(directory, segment_bytes)) as log:
        return commit(log, commits)


def segments(directory: pathlib.Path) -> list[pathlib.Path]:
    return sorted(directory.glob("seg-*.ndjson"))


def flip(path: pathlib.Path, byte: int) -> None:
    data = bytearray(path.read_bytes())
    data[byte] ^= 1
    path.write_bytes(data)


def test_several_segments_are_read_back_while_the_log_is_open_and_after(tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "log"
    with closing(open_log(directory)) as log:
        events = commit(log, 20)
        assert read(directory) == events
    assert len(segments(directory)) > 2
    assert read(directory) == events


def test_a_second_run_of_the_writer_goes_on_in_the_same_chain(tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "log"
    first = write(directory, 5)
    second = write(directory, 5)
    assert read(directory) == first + [(sequence + len(first), line) for sequence, line in second]


@pytest.mark.parametrize("torn", [b"[", b'["EVB1","3f9c', b"\0" * 400])
def test_a_torn_end_is_ignored(tmp_path: pathlib.Path, torn: bytes) -> None:
    directory = tmp_path / "log"
    events = write(directory, 20)
    last = segments(directory)[-1]
    last.write_bytes(last.read_bytes() + torn)
    assert read(directory) == events


def test_no_event_of_a_torn_block_is_read(tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "log"
    events = write(directory, 3, segment_bytes=100_000)
    (path,) = segments(directory)
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b'{"n"') + 3])
    assert read(directory) == events[:-2]


def test_bytes_behind_the_end_of_a_sealed_segment_are_ignored(tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "log"
    events = write(directory, 20)
    first = segments(directory)[0]
    first.write_bytes(first.read_bytes() + b'["EVB1","3f9c')
    assert read(directory) == events


@pytest.mark.parametrize("segment_bytes", [600, 100_000])
@pytest.mark.parametrize("byte", [148, 160, 293, 300])
def test_a_flipped_byte_that_later_blocks_prove_is_damage(
    tmp_path: pathlib.Path, segment_bytes: int, byte: int
) -> None:
    directory = tmp_path / "log"
    write(directory, 20, segment_bytes)
    path = segments(directory)[0]
    flip(path, byte)
    with pytest.raises(ValueError, match=f"{path.name}, byte 148: there is no whole block"):
        read(directory)


def test_a_missing_segment_is_damage(tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "log"
    write(directory, 20)
    segments(directory)[1].unlink()
    with pytest.raises(ValueError, match=r"byte 0: segment 2 is missing"):
        read(directory)


def test_a_shifted_block_is_damage(tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "log"
    write(directory, 3, segment_bytes=100_000)
    (path,) = segments(directory)
    path.write_bytes(path.read_bytes().replace(b'{"n":1}', b'{"n":100}'))
    with pytest.raises(ValueError, match="byte 148: the bytes are shifted"):
        read(directory)


def save(directory: pathlib.Path, log: Log, position: Position) -> pathlib.Path:
    LogFolder(Files(), str(directory)).save_cursor("file", Cursor(position))
    return directory / "cursors" / "file.json"


def test_the_cursor_is_read(tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "log"
    with closing(open_log(directory)) as log:
        events = commit(log, 5)
        end = log.end
        path = save(directory, log, end)
        log_id = log.log_id.decode()
    cursor = read_cursor(path)
    assert (cursor["log_id"], cursor["consumer"], cursor["inflight"]) == (log_id, "file", None)
    assert cursor["acked"] == {"seg": end.segment, "off": end.offset, "seq": end.sequence}
    assert read(directory) == events
    flip(path, 30)
    with pytest.raises(ValueError, match=r"file\.json, byte .*crc"):
        read_cursor(path)


def test_a_cursor_beyond_the_end_is_damage(tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "log"
    with closing(open_log(directory, 100_000)) as log:
        commit(log, 3)
        save(directory, log, log.end)
    (path,) = segments(directory)
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b'{"n"') + 3])
    with pytest.raises(ValueError, match="the cursor is at"):
        read(directory)


def test_the_crc_is_the_one_of_the_page() -> None:
    assert independent_reader.crc32c(b"123456789") == "e3069283"


def test_the_reader_imports_nothing_of_the_project() -> None:
    tree = ast.parse(pathlib.Path(independent_reader.__file__).read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names.add((node.module or "").partition(".")[0])
    assert names
    assert names <= sys.stdlib_module_names
