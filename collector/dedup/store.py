"""The files of the index: which of them can be trusted, and who may replace them.

    DIR/LOCK                     flock: one process at a time opens, replaces or catches up
    DIR/v1-BOOT_ID-INODE/        the index of this boot
        data.mdb, lock.mdb       of LMDB, without fsync
        users                    each process that has the index open holds a shared flock
        windows                  the windows by which the index is complete

Nothing is fsynced: the page cache survives a kill -9, but after a power cut the pages on the disk are of different
ages. So the folder's name has the id of the boot. It has the inode of data.mdb, too: files that were copied or restored
are not those that this boot has written. A folder that only an index can have made, and with another name, is deleted,
since no process of this boot uses it. Whatever else is in DIR is left alone: it may be the folder of the logs.

A folder in use is replaced in one case: LMDB has found it broken. Its processes then notice at their next `check`, and
must restart. A setting `bytes` that has changed waits until nobody has the folder open.
"""

import contextlib
import errno
import fcntl
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from typing import Final, TypeAlias

import lmdb

from wal.files import DIRECTORY_MODE, FILE_MODE, make_directories, named

Transaction: TypeAlias = "lmdb.Transaction[bytes]"
_BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"
_DATA: Final = "data.mdb"
_OURS: Final = re.compile(r"new-[a-z0-9_]{8}|v[0-9]+-.+-[0-9]+(\.broken)?")
"""Names of folders that an index is, was, or was going to be."""
_PAGE_BYTES: Final = 4096
_AHEAD_BYTES: Final = 8 << 20
"""Bytes that are allocated beyond the last page: more than transactions need until the next look."""
_FIRST_BYTES: Final = 2 * _AHEAD_BYTES


class IndexLost(Exception):
    """The index of event ids is broken, or was replaced. Only a restart of this process opens the new one."""


class IndexStore:
    """The open index: an LMDB environment that all workers of a node share. Threads may share it."""

    def __init__(self, path: str, map_bytes: int) -> None:
        """`path` is a folder that `open_store` has made. Raises lmdb.Error, OSError."""
        self.path = path
        self.map_bytes = map_bytes
        self._data = os.path.join(path, _DATA)
        self._users = _flocked(os.path.join(path, "users"), fcntl.LOCK_SH)
        self._is_closed = False
        self._allocated = 0
        """Bytes that this process knows to be allocated."""
        self.mutex = threading.Lock()
        """Held in each transaction. A thread that waited for LMDB's own mutex would hold the GIL meanwhile, and the
        thread in the transaction could never end it."""
        try:
            self.env = _open(path, map_bytes)
            with self.env.begin(write=True) as txn:
                self.entries = self.env.open_db(b"entries", txn=txn)
                self.order = self.env.open_db(b"order", txn=txn, integerkey=True)
                self.logs = self.env.open_db(b"logs", txn=txn)
                self.generations = self.env.open_db(b"generations", txn=txn, integerkey=True)
                self.meta = self.env.open_db(b"meta", txn=txn)
        except BaseException:
            os.close(self._users)
            raise

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A write transaction, aborted if the block raises. Raises IndexLost.

        Readers use it too. A reader that is killed would keep its pages from being used again.
        """
        with self.mutex:
            try:
                with self.env.begin(write=True) as txn:
                    yield txn
            except lmdb.Error as error:
                raise self.lost(error) from error

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lock of the folder of all indexes. Blocks. Raises OSError."""
        with _locked(os.path.dirname(self.path)):
            yield

    def reserve(self) -> bool:
        """Allocate the file beyond its last page. False if the disk has no room.

        LMDB writes through a memory map: without room on the disk, a write to a hole in the file would be a SIGBUS.
        """
        needed = min(self.map_bytes, (self.env.info()["last_pgno"] + 1) * _PAGE_BYTES + _AHEAD_BYTES)
        if needed > self._allocated:
            length = min(self.map_bytes, needed + _AHEAD_BYTES)
            try:
                _allocate(self._data, length)
            except OSError:
                return False
            self._allocated = length
        return True

    def check(self) -> None:
        """Raise IndexLost if the index was replaced or deleted."""
        if not os.path.exists(self._data):
            raise IndexLost(f"{self.path}: the index of event ids was replaced; restart this process")

    def lost(self, error: lmdb.Error) -> IndexLost:
        """The error to raise after LMDB failed. Deletes the index, so that the next process to start makes another."""
        if self._is_closed:
            return IndexLost(f"{self.path}: the index of event ids is closed, because this process stops")
        with contextlib.suppress(OSError):
            aside = f"{self.path}.broken"
            os.rename(self.path, aside)  # at once for all processes; deleting file by file would not be
            shutil.rmtree(aside)
        return IndexLost(f"{self.path}: the index of event ids is broken ({error}); restart this process")

    def close(self) -> None:
        """Close the index, once the transaction of another thread has ended. Every later one raises IndexLost."""
        with self.mutex:
            self._is_closed = True
            self.env.close()
        os.close(self._users)


def open_store(directory: str, map_bytes: int, boot_id: str | None = None) -> IndexStore:
    """Open the index of this boot in `directory`, and create it if there is none that can be trusted.

    `map_bytes` is the size of a new one. Raises OSError.
    """
    make_directories(directory)
    boot = boot_id or _read_boot_id()
    map_bytes -= map_bytes % _PAGE_BYTES
    with _locked(directory):
        path = _delete_others(directory, boot)
        if path is not None and _size(path) != map_bytes and _is_unused(path):
            shutil.rmtree(path)
            path = None
        if path is not None:
            try:
                return IndexStore(path, _size(path))
            except lmdb.Error:
                shutil.rmtree(path)
        return IndexStore(_create(directory, boot, map_bytes), map_bytes)


def _read_boot_id() -> str:
    with open(_BOOT_ID) as file:
        return file.read().strip()


def _delete_others(directory: str, boot: str) -> str | None:
    """The folder of this boot, or None if there is none. Deletes all other indexes, and nothing else."""
    found = None
    for entry in os.scandir(directory):
        if not _OURS.fullmatch(entry.name) or not entry.is_dir(follow_symlinks=False):
            continue
        if entry.name == _name(entry.path, boot):
            found = entry.path
        else:
            shutil.rmtree(entry.path)
    return found


def _name(path: str, boot: str) -> str | None:
    """The name that a folder with this content has; None without data."""
    try:
        return f"v1-{boot}-{os.stat(os.path.join(path, _DATA)).st_ino}"
    except OSError:
        return None


def _create(directory: str, boot: str, map_bytes: int) -> str:
    """Make an empty index, with its first bytes allocated: see `IndexStore.reserve`."""
    making = tempfile.mkdtemp(prefix="new-", dir=directory)
    try:
        os.chmod(making, DIRECTORY_MODE)
        _open(making, map_bytes).close()
        _allocate(os.path.join(making, _DATA), min(map_bytes, _FIRST_BYTES))
        path = os.path.join(directory, str(_name(making, boot)))
        os.rename(making, path)
    except BaseException as error:
        shutil.rmtree(making, ignore_errors=True)
        if isinstance(error, lmdb.Error):
            raise OSError(max(error.code, 0) or errno.EIO, str(error), directory) from error
        raise
    return path


def _allocate(path: str, length: int) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        with named(path):
            os.posix_fallocate(descriptor, 0, length)
    finally:
        os.close(descriptor)


def _open(path: str, map_bytes: int) -> lmdb.Environment:
    """Every process opens it with the same size: LMDB cuts the file to the size that an opener gives."""
    return lmdb.open(
        path,
        map_size=map_bytes,
        mode=FILE_MODE,
        max_dbs=5,
        sync=False,
        metasync=False,
        writemap=True,
        meminit=False,
        readahead=False,
    )


def _size(path: str) -> int:
    return os.path.getsize(os.path.join(path, _DATA))


def _is_unused(path: str) -> bool:
    try:
        os.close(_flocked(os.path.join(path, "users"), fcntl.LOCK_EX | fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _locked(directory: str) -> Iterator[None]:
    descriptor = _flocked(os.path.join(directory, "LOCK"), fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def _flocked(path: str, operation: int) -> int:
    """A descriptor that holds a flock until it is closed or the process ends."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    try:
        fcntl.flock(descriptor, operation)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
