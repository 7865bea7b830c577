"""A file system with planned faults, a record of its calls, and a gate in front of fdatasync."""

import errno
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence

from tests.running import PATIENCE_SECONDS
from wal.files import Files, Room


class FaultyFiles(Files):
    """Real files. A call that is planned to fail does so before it does anything."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        """Names of the calls that change something or sync, in order."""
        self.longest_write: int | None = None
        """Bytes that one write takes at most."""
        self.gate = threading.Event()
        """While it is cleared, an fdatasync waits."""
        self.gate.set()
        self.at_gate = threading.Event()
        """An fdatasync has come to the gate."""
        self.on_names: Callable[[], None] | None = None
        """Is called once, when a directory is listed next: what another thread might do just then."""
        self._plans: dict[str, deque[Exception | None]] = {}

    def fail(self, call: str, fault: int | Exception, *, after: int = 0, times: int = 1) -> None:
        """Let `after` calls of that name pass and the next `times` of them raise: an errno, or that exception."""
        error = OSError(fault, os.strerror(fault)) if isinstance(fault, int) else fault
        self._plans[call] = deque([*[None] * after, *[error] * times])

    def heal(self) -> None:
        """Forget what was planned."""
        self._plans.clear()
        self.longest_write = None

    def _meet(self, call: str) -> None:
        self.calls.append(call)
        self._fail_as_planned(call)

    def _fail_as_planned(self, call: str) -> None:
        plan = self._plans.get(call)
        if plan and (fault := plan.popleft()):
            raise fault

    def names(self, directory: str) -> list[str]:
        if hook := self.on_names:
            self.on_names = None
            hook()
        return super().names(directory)

    def create(self, path: str) -> int:
        self._meet("create")
        return super().create(path)

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        self._fail_as_planned("read")
        return super().read(descriptor, length, offset)

    def write(self, descriptor: int, buffers: Sequence[bytes]) -> int:
        self._meet("write")
        if self.longest_write is not None:
            buffers = [b"".join(buffers)[: self.longest_write]]
        return super().write(descriptor, buffers)

    def reserve(self, descriptor: int, offset: int, length: int) -> None:
        self._meet("reserve")
        super().reserve(descriptor, offset, length)

    def truncate(self, descriptor: int, length: int) -> None:
        self._meet("truncate")
        super().truncate(descriptor, length)

    def sync(self, descriptor: int) -> None:
        self.at_gate.set()
        assert self.gate.wait(PATIENCE_SECONDS), "a test left the gate shut"
        self._meet("sync")
        super().sync(descriptor)

    def sync_all(self, descriptor: int) -> None:
        self._meet("sync_all")
        super().sync_all(descriptor)

    def open_directory(self, path: str) -> int:
        self._fail_as_planned("open_directory")
        return super().open_directory(path)

    def sync_names(self, descriptor: int) -> None:
        self._meet("sync_directory")
        super().sync_names(descriptor)

    def rename(self, source: str, target: str) -> None:
        self._meet("rename")
        super().rename(source, target)

    def symlink(self, target: str, path: str) -> None:
        self._meet("symlink")
        super().symlink(target, path)

    def unlink(self, path: str) -> None:
        self._meet("unlink")
        super().unlink(path)


class NotPermitted(Files):
    """Files of a user who may not list one directory. No mode of a directory keeps root out."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def names(self, directory: str) -> list[str]:
        if directory == self._directory:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), directory)
        return super().names(directory)


class SmallDisk(FaultyFiles):
    """A disk with these bytes and inodes free, which counts how often it is asked for them."""

    free = 1000
    inodes = 0
    all_inodes = 0
    """0: it has no limit of them."""
    looks = 0

    def room(self, path: str) -> Room:
        self.looks += 1
        return Room(self.free, self.inodes, 1 << 40, self.all_inodes)
