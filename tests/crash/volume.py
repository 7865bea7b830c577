"""Disks for the crash tests, made of files and memory: they lose power, stand still, run full, fail. They need root.

They are mounted for this process and its children alone, so that none outlives a test run that is killed.
"""

import ctypes
import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from tests.running import eventually

_FS_IOC_SHUTDOWN: Final = 0x8004587D
_NO_LOG_FLUSH: Final = 2
_CLONE_NEWNS: Final = 0x20000
_MAKE: Final = {
    "ext4": ["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0"],
    "xfs": ["mkfs.xfs", "-q"],
}
_SETTINGS: Final = """
[server]
port = {{port}}
workers = {{workers}}
[log]
segment_bytes = 1048576
stall_seconds = {stall_seconds}
min_free_bytes = {min_free_bytes}
warn_free_bytes = 8388608
[[property]]
portal_id = 33167
prop_id = 564990801
{dedup}
[[sink]]
type = "file"
dir = "data/events"
flush_seconds = 0.2
"""
_DEDUP: Final = """
dedup = "1h"
[dedup]
dir = "{dir}"
"""
_FILLER_BYTES: Final = (1 << 20, 4096)
VOLUME_BYTES: Final = 512 << 20
"""Of a sparse file. XFS takes no less than 300 MB."""


def settings(*, min_free_bytes: int = 0, stall_seconds: float = 5, ids: Path | None = None) -> str:
    """For a collector that has its data on a disk as small as these.

    With `ids`, an event is stored once; `ids` is the folder of the index, which should be on another disk.
    """
    dedup = _DEDUP.format(dir=ids) if ids else ""
    return _SETTINGS.format(min_free_bytes=min_free_bytes, stall_seconds=stall_seconds, dedup=dedup)


class Volume:
    """A file system in a file, mounted at `path`."""

    def __init__(self, image: Path, path: Path) -> None:
        self.path = path
        self._image = image
        self.mount()

    def mount(self) -> None:
        """Mount it, which replays its journal."""
        _run("mount", "-o", "loop", str(self._image), str(self.path))

    def unmount(self) -> None:
        """Unmount it once nobody uses it any more."""
        eventually(lambda: _runs("umount", str(self.path)), f"{self.path} is unmounted")

    def write_by_pages(self) -> None:
        """Let the loop device write no more than a page at once: it takes a write that is cut short for a whole one."""
        device = _run("findmnt", "-n", "-o", "SOURCE", str(self.path)).strip()
        Path(f"/sys/class/block/{Path(device).name}/queue/max_sectors_kb").write_text("4")

    def cut_power(self) -> None:
        """From now on nothing reaches the file, data or journal; what was not fsynced is gone at the next mount."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(descriptor, _FS_IOC_SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(descriptor)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Whoever writes waits, until this ends."""
        _run("fsfreeze", "-f", str(self.path))
        try:
            yield
        finally:
            _run("fsfreeze", "-u", str(self.path))


@contextmanager
def volume(path: Path, kind: str, image: Path, inodes: int = 0) -> Iterator[Volume]:
    """A new file system of that kind in `image`, mounted at `path`, gone at the end. Skips where that can't be.

    `inodes`: how many an ext4 has; 0: as many as is usual.
    """
    _require(_MAKE[kind][0])
    if not Path("/dev/loop-control").exists():
        pytest.skip("there are no loop devices")
    with image.open("wb") as file:
        file.truncate(VOLUME_BYTES)
    _run(*_MAKE[kind], *(["-N", str(inodes)] if inodes else []), str(image))
    path.mkdir(exist_ok=True)
    try:
        yield Volume(image, path)
    finally:
        _let_go(path)


@contextmanager
def memory(path: Path, size: int, inodes: int = 0) -> Iterator[None]:
    """A tmpfs of `size` bytes (0 `inodes`: no limit of them) at `path`, gone at the end. Skips where that can't be."""
    _require("mount")
    path.mkdir(exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={size},nr_inodes={inodes}", "tmpfs", str(path))
    try:
        yield
    finally:
        _let_go(path)


@contextmanager
def filled(path: Path) -> Iterator[Callable[[], None]]:
    """No room on the file system at `path` until this ends; gives what fills up the room that others let go."""
    filler = path / "filler"
    with filler.open("wb", buffering=0) as file:

        def fill() -> None:
            for size in _FILLER_BYTES:
                with suppress(OSError):
                    while file.write(bytes(size)):
                        pass

        try:
            fill()
            yield fill
        finally:
            filler.unlink()


@contextmanager
def without_inodes(path: Path) -> Iterator[Callable[[], None]]:
    """No inode left on the file system at `path` until this ends; gives what uses up those that others let go."""
    folder = path / "fillers"
    folder.mkdir()
    numbers = count()

    def use_up() -> None:
        with suppress(OSError):
            for number in numbers:
                (folder / str(number)).touch()

    try:
        use_up()
        yield use_up
    finally:
        shutil.rmtree(folder)


@contextmanager
def read_only(path: Path) -> Iterator[None]:
    """The file system at `path` takes no write until this ends."""
    _run("mount", "-o", "remount,ro", str(path))
    try:
        yield
    finally:
        _run("mount", "-o", "remount,rw", str(path))


def _require(program: str) -> None:
    """Skip the test unless we may mount, and have the program."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    if reason := _privacy():
        pytest.skip(f"no mounts of our own: {reason}")


@cache
def _privacy() -> str:
    """From now on what we mount is not seen by others; returns why not, if that is refused."""
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNS) != 0:
        return os.strerror(ctypes.get_errno())
    return subprocess.run(["mount", "--make-rprivate", "/"], check=False, capture_output=True, text=True).stderr


def _let_go(path: Path) -> None:
    """Unmount, by force of laziness if somebody still uses it."""
    _runs("umount", str(path)) or _runs("umount", "--lazy", str(path))


def _run(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def _runs(*command: str) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
