"""The file system as the log uses it: nothing else in `wal` calls fsync, rename, flock or fallocate.

Every function that touches the disk takes a `Files`, so that a test can pass one that fails or loses power.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from wal.errors import LogLocked

FILE_MODE: Final = 0o640
DIRECTORY_MODE: Final = 0o750
"""Events are personal data: the owner may write, its group (operators, say) may read, and others may do nothing."""

_KEEP_SIZE = 1
"""FALLOC_FL_KEEP_SIZE of linux/falloc.h: reserve blocks without growing the file, or `tail` would print NULs."""
_COPY_BYTES = 1 << 20
_NO_RESERVATIONS = (errno.EOPNOTSUPP, errno.ENOSYS)

_fallocate = ctypes.CDLL(None, use_errno=True).fallocate
_fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


class Room(NamedTuple):
    """A file system's free bytes and inodes, as far as unprivileged processes may use them, and its totals.

    `all_inodes` is 0 if inodes are unlimited, as on btrfs.
    """

    bytes: int
    inodes: int
    all_bytes: int
    all_inodes: int


class Files:
    """System calls, named by their purpose. Every method raises OSError as the call does."""

    def make_directory(self, path: str) -> None:
        """Create `path` and its missing parents, and sync each in its parent directory.

        An existing directory is synced too: the process that made it may have ended before its sync.
        """
        parent = os.path.dirname(os.path.abspath(path))
        if not os.path.isdir(path):
            self.make_directory(parent)
            with contextlib.suppress(FileExistsError):
                os.mkdir(path, DIRECTORY_MODE)
        self.sync_directory(parent)

    def names(self, directory: str) -> list[str]:
        """The names in a directory, sorted; an empty list if it does not exist."""
        try:
            return sorted(os.listdir(directory))
        except FileNotFoundError:
            return []

    def create(self, path: str) -> int:
        """A descriptor for reading and writing. The file is emptied, or created."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)

    def open(self, path: str, *, write: bool = False) -> int:
        """A descriptor of an existing file."""
        return os.open(path, (os.O_RDWR if write else os.O_RDONLY) | os.O_CLOEXEC)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def size(self, descriptor: int) -> int:
        return os.fstat(descriptor).st_size

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        return os.pread(descriptor, length, offset)

    def write(self, descriptor: int, buffers: Sequence[bytes]) -> int:
        """Write at the descriptor's position. Returns the number of bytes written, which may be less than all."""
        return os.writev(descriptor, buffers)

    def room(self, path: str) -> Room:
        """The free and total space of the file system that holds `path`."""
        status = os.statvfs(path)
        unit = status.f_frsize
        return Room(status.f_bavail * unit, status.f_favail, status.f_blocks * unit, status.f_files)

    def reserve(self, descriptor: int, offset: int, length: int) -> None:
        """Allocate disk blocks for bytes to be written later, if the file system supports that."""
        if _fallocate(descriptor, _KEEP_SIZE, offset, length) != 0:
            number = ctypes.get_errno()
            if number not in _NO_RESERVATIONS:
                raise OSError(number, os.strerror(number))

    def truncate(self, descriptor: int, length: int) -> None:
        """Cut the file to `length`, and free the blocks reserved after it."""
        os.ftruncate(descriptor, length)

    def sync(self, descriptor: int) -> None:
        os.fdatasync(descriptor)

    def sync_all(self, descriptor: int) -> None:
        os.fsync(descriptor)

    def open_directory(self, path: str) -> int:
        """A descriptor for `sync_names`.

        Open it before the names change: if the process is out of descriptors, nothing has changed yet and all can be
        retried.
        """
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def sync_names(self, descriptor: int) -> None:
        """Make the names in an open directory durable."""
        os.fsync(descriptor)

    def sync_directory(self, path: str) -> None:
        """Make the names in a directory durable. A failed open is reported like a failed sync."""
        with opened(self, self.open_directory(path)) as descriptor:
            self.sync_names(descriptor)

    def forget_cache(self, descriptor: int, offset: int = 0, length: int = 0) -> None:
        """Evict synced bytes from the page cache, so that the next read comes from the disk. `length` 0: to the end.

        Pages that are only partly in the range stay.
        """
        os.posix_fadvise(descriptor, offset, length, os.POSIX_FADV_DONTNEED)

    def rename(self, source: str, target: str) -> None:
        os.rename(source, target)

    def link(self, source: str, target: str) -> None:
        os.link(source, target)

    def symlink(self, target: str, path: str) -> None:
        os.symlink(target, path)

    def unlink(self, path: str) -> None:
        os.unlink(path)

    def lock(self, path: str) -> int:
        """A descriptor that holds the lock file until it is closed or the process ends. Raises LogLocked."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise locked(path) from None
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def is_locked(self, path: str) -> bool:
        """Whether a process holds the lock file. Needs no right to write, and makes no file."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False


def locked(path: str) -> LogLocked:
    """The error that another process holds this lock file."""
    return LogLocked(f"{path}: held by another process; stop that writer, or use another directory")


@contextlib.contextmanager
def opened(files: Files, descriptor: int) -> Iterator[int]:
    """Close a descriptor at the end."""
    try:
        yield descriptor
    finally:
        files.close(descriptor)


@contextlib.contextmanager
def named(path: str) -> Iterator[None]:
    """Add `path` to an OSError without a file name, as calls on a descriptor raise it."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = path
        raise


def make_directories(path: str) -> None:
    """Create `path` and its missing parents, without syncing. `os.makedirs` would give the parents another mode."""
    if not os.path.isdir(path):
        make_directories(os.path.dirname(os.path.abspath(path)))
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, DIRECTORY_MODE)


def opener(path: str, flags: int) -> int:
    """The `opener` argument of `open`: files that it creates get FILE_MODE."""
    return os.open(path, flags, FILE_MODE)


def write_all(files: Files, descriptor: int, buffers: Sequence[bytes]) -> None:
    """Write every byte, continuing after short writes."""
    written = files.write(descriptor, buffers)
    total = sum(map(len, buffers))
    if written < total:
        rest = b"".join(buffers)
        while written < total:
            written += files.write(descriptor, [rest[written:]])


def read_file(files: Files, path: str) -> bytes:
    """The whole content of a small file."""
    with opened(files, files.open(path)) as descriptor, named(path):
        return files.read(descriptor, files.size(descriptor), 0)


def copy_range(files: Files, source: str, target: str, offset: int, length: int) -> None:
    """Copy a range of bytes, shorter at the end of the file, to a new file. Syncs the file, but not its directory."""
    with opened(files, files.open(source)) as reading, opened(files, files.create(target)) as writing, named(target):
        _copy(files, reading, writing, offset, length)
        files.sync_all(writing)


def _copy(files: Files, reading: int, writing: int, offset: int, length: int) -> None:
    while length > 0 and (part := files.read(reading, min(length, _COPY_BYTES), offset)):
        write_all(files, writing, [part])
        offset += len(part)
        length -= len(part)


def write_file(files: Files, path: str, content: bytes) -> None:
    """Replace the file at `path`, durably. After a crash the old content or the new one is there, whole."""
    with named(path), opened(files, files.open_directory(os.path.dirname(path))) as directory:
        with opened(files, files.create(f"{path}.tmp")) as descriptor:
            write_all(files, descriptor, [content])
            files.sync_all(descriptor)
        files.rename(f"{path}.tmp", path)
        files.sync_names(directory)
