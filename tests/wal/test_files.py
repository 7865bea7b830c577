"""The file system as the log uses it: modes, room, and errors that name a file."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wal.faulty_files import FaultyFiles
from wal.errors import explain
from wal.files import Files, copy_range, make_directories, named, opener, read_file, write_file


@pytest.fixture
def loose() -> Iterator[None]:
    """A umask that takes nothing away."""
    before = os.umask(0)
    yield
    os.umask(before)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("loose")
def test_others_may_not_read_what_is_made(tmp_path: Path) -> None:
    files = Files()
    files.make_directory(str(tmp_path / "a/b"))
    make_directories(str(tmp_path / "c/d"))
    files.close(files.lock(str(tmp_path / "a/LOCK")))
    write_file(files, str(tmp_path / "a/file"), b"x")
    with open(tmp_path / "c/file", "wb", opener=opener) as file:
        file.write(b"x")
    assert {_mode(tmp_path / name) for name in ("a", "a/b", "c", "c/d")} == {0o750}
    assert {_mode(tmp_path / name) for name in ("a/LOCK", "a/file", "c/file")} == {0o640}


def test_directories_that_are_there_keep_their_mode(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o777)
    before = _mode(tmp_path / "open")
    Files().make_directory(str(tmp_path / "open"))
    make_directories(str(tmp_path / "open"))
    assert _mode(tmp_path / "open") == before


def test_the_room_of_a_file_system_is_what_it_says_itself(tmp_path: Path) -> None:
    room, status = Files().room(str(tmp_path)), os.statvfs(tmp_path)
    assert (room.all_bytes, room.all_inodes) == (status.f_blocks * status.f_frsize, status.f_files)
    assert 0 < room.bytes < room.all_bytes


@pytest.mark.parametrize("call", ["write", "sync_all"])
def test_an_error_at_a_descriptor_names_the_file(tmp_path: Path, files: FaultyFiles, call: str) -> None:
    path = str(tmp_path / "file")
    files.fail(call, errno.ENOSPC)
    with pytest.raises(OSError, match="No space left") as caught:
        write_file(files, path, b"x")
    assert caught.value.filename == path
    assert explain(caught.value, "elsewhere").startswith(f"{path}: No space left on device; make room on the disk")


def test_an_error_at_a_read_names_the_file(tmp_path: Path, files: FaultyFiles) -> None:
    (tmp_path / "file").write_bytes(b"x")
    files.fail("read", errno.EIO)
    with pytest.raises(OSError, match="Input/output error") as caught:
        read_file(files, str(tmp_path / "file"))
    assert caught.value.filename == str(tmp_path / "file")


def test_an_error_that_names_a_file_keeps_it() -> None:
    with pytest.raises(FileNotFoundError) as caught, named("another"):
        raise FileNotFoundError(errno.ENOENT, "", "this")
    assert caught.value.filename == "this"


def test_a_copy_that_finds_no_descriptor_leaves_none_open(tmp_path: Path, files: FaultyFiles) -> None:
    (tmp_path / "file").write_bytes(b"x")
    before = len(os.listdir("/proc/self/fd"))
    files.fail("create", errno.EMFILE)
    with pytest.raises(OSError, match="Too many open files"):
        copy_range(files, str(tmp_path / "file"), str(tmp_path / "copy"), 0, 1)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.EMFILE, "a/log: out of file descriptors; raise ulimit -n or lower limits.connections"),
        (errno.ENFILE, "a/log: the system is out of file descriptors; raise the kernel's fs.file-max"),
        (errno.EROFS, "a/log: the disk is mounted read-only; mount it writable"),
        (errno.ENOSPC, "a/log: No space left on device; make room on the disk"),
        (errno.EIO, "a/log: Input/output error; look for the disk's errors in dmesg"),
    ],
)
def test_an_error_is_explained_with_what_to_do(number: int, expected: str) -> None:
    assert explain(OSError(number, os.strerror(number)), "a/log").startswith(expected)
