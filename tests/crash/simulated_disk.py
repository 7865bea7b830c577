"""A file system in memory that knows what of it is durable, and makes the images that a crash can leave.

`SimulatedFiles` is one process on one disk: `crash` makes what a loss of power may leave of it, `kill` is the next
process on the same disk. Faults come in through plain attributes.
"""

import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import NoReturn

from tests.crash.simulated_storage import BOUNDLESS, Disk, Entry, File, Folder, Link, Node, put
from wal.errors import LogLocked
from wal.files import Files, Room


class PowerCut(BaseException):
    """The process is gone, in the middle of a system call. No `except Exception` may go on behind it."""


@dataclass
class Fault:
    """An error at the `nth` call of a method of Files from now on."""

    call: str
    nth: int
    error: int


class _Open:
    __slots__ = ("file", "position")

    def __init__(self, file: File) -> None:
        self.file = file
        self.position = 0


class SimulatedFiles(Files):
    """One process on a disk. After its PowerCut every further call raises it again."""

    def __init__(self, random: Random, disk: Disk | None = None) -> None:
        self.random = random
        self.disk = disk or Disk()
        self.calls = 0
        """Calls so far that change something."""
        self.crash_at = 0
        """The value of `calls` at which the process ends; 0 is never."""
        self.faults: list[Fault] = []
        self.fired: list[Fault] = []
        self.short_writes = 0.0
        """How probable it is that a write writes only a part."""
        self.on_write: Callable[[str, int, bytes], None] = lambda name, offset, data: None
        """Is told of all bytes that are written: the name that the file was created with, offset, bytes."""
        self._is_off = False
        self._descriptors: dict[int, _Open] = {}
        self._folders: dict[int, Folder] = {}
        """Open directories."""
        self._next_descriptor = 3

    def crash(self, random: Random) -> "SimulatedFiles":
        """A process on what the disk may hold after a loss of power now. This one is not changed by it."""
        return self._successor(random, self.disk.crashed(random))

    def kill(self) -> "SimulatedFiles":
        """The next process on this disk, after the end of this one: nothing is lost but what the process knew."""
        self._is_off = True
        for each in self._descriptors.values():
            each.file.is_locked = False
        return self._successor(self.random, self.disk)

    def _successor(self, random: Random, disk: Disk) -> "SimulatedFiles":
        files = type(self)(random, disk)
        files.on_write = self.on_write
        return files

    @property
    def has_room(self) -> bool:
        """The disk has no bounds that the process could feel."""
        return min(self.disk.capacity, self.disk.inodes) >= BOUNDLESS

    def file(self, path: str) -> File:
        """The file at a path, to look at it or to damage it."""
        node = self._find(path)
        if isinstance(node, Link):
            return self.file(os.path.join(os.path.dirname(path), node.target))
        if not isinstance(node, File):
            _fail(errno.EISDIR if node else errno.ENOENT, path)
        return node

    def replace(self, path: str, node: Node | None) -> Node | None:
        """Put something else, or nothing, at a path, as no crash does; returns what was there."""
        before, entry = self._find(path), self._entry(path, node)
        put(entry.folder.entries, entry)
        put(entry.folder.stored, entry)
        return before

    def make_directory(self, path: str) -> None:
        parent = os.path.dirname(path)
        if not isinstance(self._find(path), Folder):
            self.make_directory(parent)
            self._enter("make_directory")
            self._change(self._entry(path, Folder()))
        self.sync_directory(parent)

    def names(self, directory: str) -> list[str]:
        self._enter("names", changes=False)
        node = self._find(directory)
        return sorted(node.entries) if isinstance(node, Folder) else []

    def create(self, path: str) -> int:
        self._enter("create")
        node = self._find(path)
        if isinstance(node, File):
            node.truncate(0)
        else:
            node = File(os.path.basename(path))
            self._change(self._entry(path, node))
        return self._descriptor(node)

    def open(self, path: str, *, write: bool = False) -> int:
        self._enter("open", changes=False)
        return self._descriptor(self.file(path))

    def close(self, descriptor: int) -> None:
        self._enter("close", changes=False)
        if self._folders.pop(descriptor, None) is None:
            self._descriptors.pop(descriptor).file.is_locked = False

    def size(self, descriptor: int) -> int:
        self._enter("size", changes=False)
        return len(self._descriptors[descriptor].file.content)

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        self._enter("read", changes=False)
        return bytes(self._descriptors[descriptor].file.content[offset : offset + length])

    def write(self, descriptor: int, buffers: Sequence[bytes]) -> int:
        data = b"".join(buffers)
        was_off = self._is_off
        try:
            self._enter("write")
        except PowerCut:
            if not was_off:
                self._append(descriptor, data[: self.random.randint(0, len(data))])
            raise
        except OSError as error:
            return self._fail_write(descriptor, data, error)
        if self.random.random() < self.short_writes:
            data = data[: self.random.randint(1, len(data))]
        data = data[: self._room(self._descriptors[descriptor])]
        if not data:
            _fail(errno.ENOSPC)
        return self._append(descriptor, data)

    def room(self, path: str) -> Room:
        self._enter("room", changes=False)
        disk = self.disk
        all_inodes = 0 if disk.inodes >= BOUNDLESS else disk.inodes
        free = max(0, disk.inodes - disk.used_inodes())
        return Room(max(0, disk.capacity - self._used()), free, disk.capacity, all_inodes)

    def reserve(self, descriptor: int, offset: int, length: int) -> None:
        self._enter("reserve")
        file = self._descriptors[descriptor].file
        if not self.has_room and offset + length - file.blocks > self.disk.capacity - self._used():
            _fail(errno.ENOSPC)
        file.reserved = max(file.reserved, offset + length)

    def truncate(self, descriptor: int, length: int) -> None:
        self._enter("truncate")
        self._descriptors[descriptor].file.truncate(length)

    def sync(self, descriptor: int) -> None:
        self._sync("sync", descriptor)

    def sync_all(self, descriptor: int) -> None:
        self._sync("sync_all", descriptor)

    def open_directory(self, path: str) -> int:
        self._enter("open_directory", changes=False)
        folder = self._find(path)
        if not isinstance(folder, Folder):
            _fail(errno.ENOENT, path)
        self._next_descriptor += 1
        self._folders[self._next_descriptor] = folder
        return self._next_descriptor

    def sync_names(self, descriptor: int) -> None:
        self._enter("sync_directory")
        self.disk.settle(self._folders[descriptor])

    def forget_cache(self, descriptor: int, offset: int = 0, length: int = 0) -> None:
        self._enter("forget_cache", changes=False)
        self._descriptors[descriptor].file.forget_cache(offset, length)

    def rename(self, source: str, target: str) -> None:
        self._enter("rename")
        node = self._find(source)
        if node is None:
            _fail(errno.ENOENT, source)
        self._change(self._entry(source, None), self._entry(target, node))

    def link(self, source: str, target: str) -> None:
        self._enter("link")
        if self._find(target) is not None:
            _fail(errno.EEXIST, target)
        self._change(self._entry(target, self.file(source)))

    def symlink(self, target: str, path: str) -> None:
        self._enter("symlink")
        if self._find(path) is not None:
            _fail(errno.EEXIST, path)
        self._change(self._entry(path, Link(target)))

    def unlink(self, path: str) -> None:
        self._enter("unlink")
        if self._find(path) is None:
            _fail(errno.ENOENT, path)
        self._change(self._entry(path, None))

    def lock(self, path: str) -> int:
        self._enter("lock")
        if self._find(path) is None:
            self._change(self._entry(path, File(os.path.basename(path))))
        file = self.file(path)
        if file.is_locked:
            raise LogLocked(path)
        file.is_locked = True
        return self._descriptor(file)

    def is_locked(self, path: str) -> bool:
        return self._find(path) is not None and self.file(path).is_locked

    def _enter(self, call: str, *, changes: bool = True) -> None:
        if self._is_off:
            raise PowerCut(call)
        if changes:
            self.calls += 1
            if self.calls == self.crash_at:
                self._is_off = True
                raise PowerCut(call)
        for fault in self.faults:
            if fault.call == call:
                fault.nth -= 1
                if fault.nth == 0:
                    self.faults.remove(fault)
                    self.fired.append(fault)
                    _fail(fault.error)

    def _fail_write(self, descriptor: int, data: bytes, error: OSError) -> int:
        """Write a part or nothing, and fail now or at the next write, as a kernel may."""
        written = self._append(descriptor, data[: self.random.choice((0, self.random.randrange(len(data))))])
        if written == 0 or self.random.random() < 0.5:
            raise error
        self.faults.append(Fault("write", 1, error.errno or errno.EIO))
        return written

    def _sync(self, call: str, descriptor: int) -> None:
        file = self._descriptors[descriptor].file
        try:
            self._enter(call)
        except OSError:
            file.fail_sync(self.random)
            raise
        file.sync()
        if self.disk.is_journaled:
            self.disk.settle(None)

    def _change(self, *change: Entry) -> None:
        if self.disk.inodes < BOUNDLESS and self.disk.needs_inode(change):
            _fail(errno.ENOSPC)
        for entry in change:
            put(entry.folder.entries, entry)
        self.disk.pending.append(change)

    def _entry(self, path: str, node: Node | None) -> Entry:
        directory, _, name = path.rpartition("/")
        folder = self._find(directory)
        if not isinstance(folder, Folder):
            _fail(errno.ENOENT, path)
        return Entry(folder, name, node)

    def _find(self, path: str) -> Node | None:
        node: Node | None = self.disk.root
        for name in path.split("/"):
            if name:
                node = node.entries.get(name) if isinstance(node, Folder) else None
        return node

    def _descriptor(self, file: File) -> int:
        self._next_descriptor += 1
        self._descriptors[self._next_descriptor] = _Open(file)
        return self._next_descriptor

    def _append(self, descriptor: int, data: bytes) -> int:
        place = self._descriptors[descriptor]
        self.on_write(place.file.name, place.position, data)
        place.file.write(place.position, data)
        place.position += len(data)
        return len(data)

    def _room(self, place: _Open) -> int:
        if self.has_room:
            return BOUNDLESS
        return max(0, place.file.blocks + self.disk.capacity - self._used() - place.position)

    def _used(self) -> int:
        files = {id(file): file for file in (*self.disk.files(), *(each.file for each in self._descriptors.values()))}
        return sum(file.blocks for file in files.values())


def _fail(number: int, path: str | None = None) -> NoReturn:
    raise OSError(number, os.strerror(number), path)
