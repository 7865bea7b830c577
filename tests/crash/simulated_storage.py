"""The disk below the simulated file system: what processes see of it, what is durable, and what a crash leaves.

A file holds two contents and which sectors were written since the last sync; a directory holds two sets of names, and
the changes of names that nothing has synced wait in the list of their disk. It knows of no processes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

SECTOR = 512
BOUNDLESS = 1 << 40


class File:
    """The bytes that processes see, and those that the disk holds; `dirty` are the sectors written since a sync."""

    __slots__ = ("content", "dirty", "is_locked", "name", "reserved", "stored")

    def __init__(self, name: str, content: bytes = b"") -> None:
        self.name = name
        self.content = bytearray(content)
        self.stored = bytearray(content)
        self.dirty: set[int] = set()
        self.reserved = 0
        self.is_locked = False

    @property
    def blocks(self) -> int:
        """Bytes of the disk that it occupies."""
        return max(len(self.content), self.reserved)

    def replace(self, content: bytes) -> None:
        """Have other bytes on the disk, as no process did it."""
        self.content, self.stored = bytearray(content), bytearray(content)
        self.dirty.clear()

    def write(self, offset: int, data: bytes) -> None:
        """Change what processes see."""
        end = offset + len(data)
        if data:
            self.content[offset:end] = data
            self.dirty.update(range(offset // SECTOR, (end - 1) // SECTOR + 1))

    def truncate(self, length: int) -> None:
        """Cut what processes see; the disk follows at the next sync."""
        del self.content[length:]
        self.dirty = {sector for sector in self.dirty if sector * SECTOR < length}
        self.reserved = min(self.reserved, length)

    def sync(self) -> None:
        """Bring to the disk what is dirty, and only that: what a failed sync has dropped stays zeros."""
        length = len(self.content)
        _resize(self.stored, length)
        for sector in self.dirty:
            place = slice(sector * SECTOR, min((sector + 1) * SECTOR, length))
            self.stored[place] = self.content[place]
        self.dirty.clear()

    def fail_sync(self, random: Random) -> None:
        """What ext4 makes of a failed sync: some sectors are on the disk and the rest counts as clean all the same."""
        self.stored = self.crashed(random)
        self.dirty.clear()

    def forget_cache(self, offset: int, length: int) -> None:
        """Show what the disk holds of these bytes (`length` 0: all from `offset` on) wherever nothing is dirty."""
        fresh = self.stored[: len(self.content)]
        _resize(fresh, len(self.content))
        first, behind = -(-offset // SECTOR), (offset + length) // SECTOR if length else -(-len(fresh) // SECTOR)
        for sector in set(range(first, behind)) - self.dirty:
            place = slice(sector * SECTOR, min((sector + 1) * SECTOR, len(fresh)))
            self.content[place] = fresh[place]

    def crashed(self, random: Random) -> bytearray:
        """What the disk may hold after a crash: each dirty sector kept, zero or cut off."""
        low, high = sorted((len(self.stored), len(self.content)))
        size = random.choice((low, high, random.randint(low, high)))
        image = self.stored[:size]
        _resize(image, size)
        odds = random.choice((0.0, 0.3, 0.7, 0.9, 1.0))
        for sector in sorted(self.dirty):
            if random.random() < odds:
                place = slice(sector * SECTOR, min((sector + 1) * SECTOR, size, len(self.content)))
                image[place] = self.content[place]
        return image


class Folder:
    """Names, as processes see them and as the disk holds them."""

    __slots__ = ("entries", "stored")

    def __init__(self) -> None:
        self.entries: dict[str, Node] = {}
        self.stored: dict[str, Node] = {}


class Link(NamedTuple):
    """A symbolic link."""

    target: str


Node = File | Folder | Link


class Entry(NamedTuple):
    """A name of a folder that now stands for `node`, or for nothing."""

    folder: Folder
    name: str
    node: Node | None


Change = tuple[Entry, ...]
"""What is done to names at once: a rename removes one and sets the other, both or none."""


@dataclass
class Disk:
    """What outlives a process. `is_journaled`: names become durable in the order of their changes, and with any sync.

    That is ext4 and XFS. Otherwise it is what POSIX lets a file system do: each change for itself.
    """

    is_journaled: bool = True
    root: Folder = field(default_factory=Folder)
    pending: list[Change] = field(default_factory=list)
    capacity: int = BOUNDLESS
    inodes: int = BOUNDLESS
    """How many files, folders and links there may be."""

    def used_inodes(self) -> int:
        """How many there are; a file with two names counts twice."""
        return sum(1 for _ in _nodes(self.root))

    def needs_inode(self, change: Change) -> bool:
        """Whether a change of names makes something new that there is no inode for."""
        is_rename = any(entry.node is None for entry in change)
        return not is_rename and self.used_inodes() >= self.inodes

    def settle(self, folder: Folder | None) -> None:
        """Make changes of names durable: those of one folder, or all of them where there is a journal."""
        waiting: list[Change] = []
        for change in self.pending:
            if self.is_journaled or any(entry.folder is folder for entry in change):
                for entry in change:
                    put(entry.folder.stored, entry)
            else:
                waiting.append(change)
        self.pending = waiting

    def crashed(self, random: Random) -> "Disk":
        """What may be there after a loss of power now; this one stays as it is."""
        if self.is_journaled:
            kept = self.pending[: random.randint(0, len(self.pending))]
        else:
            odds = random.choice((0.0, 0.5, 1.0))
            kept = [change for change in self.pending if random.random() < odds]
        return Disk(self.is_journaled, _Image(random, kept).folder(self.root), [], self.capacity, self.inodes)

    def files(self) -> list[File]:
        """Every file that has a name, once."""
        return list({id(file): file for file in _files(self.root)}.values())


class _Image:
    """Copies a disk as a crash may leave it, with these changes of names kept; a file with two names stays one."""

    def __init__(self, random: Random, kept: list[Change]) -> None:
        self._random = random
        self._kept = [entry for change in kept for entry in change]
        self._files: dict[int, File] = {}

    def folder(self, folder: Folder) -> Folder:
        names = dict(folder.stored)
        for entry in self._kept:
            if entry.folder is folder:
                put(names, entry)
        image = Folder()
        for name, node in names.items():
            image.entries[name] = self._node(node)
        image.stored = dict(image.entries)
        return image

    def _node(self, node: Node) -> Node:
        if isinstance(node, Folder):
            return self.folder(node)
        if isinstance(node, Link):
            return node
        if id(node) not in self._files:
            content = node.crashed(self._random) if node.dirty or node.stored != node.content else node.stored
            self._files[id(node)] = File(node.name, bytes(content))
        return self._files[id(node)]


def put(names: dict[str, Node], entry: Entry) -> None:
    if entry.node is None:
        names.pop(entry.name, None)
    else:
        names[entry.name] = entry.node


def _files(folder: Folder) -> Iterator[File]:
    return (node for node in _nodes(folder) if isinstance(node, File))


def _nodes(folder: Folder) -> Iterator[Node]:
    """Everything below a folder."""
    for node in folder.entries.values():
        yield node
        if isinstance(node, Folder):
            yield from _nodes(node)


def _resize(data: bytearray, length: int) -> None:
    if len(data) < length:
        data.extend(bytes(length - len(data)))
    else:
        del data[length:]
