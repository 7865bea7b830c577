"""A folder as a store: a temporary file is written, fsynced and linked into place; then the folders are fsynced."""

import asyncio
import contextlib
import os
from collections.abc import Iterator
from typing import Final

from collector.errors import SinkError
from wal.files import make_directories, named, opener

_TEMPORARY: Final = ".tmp"


class Folder:
    """Files below a directory. Each name has one writer."""

    def __init__(self, directory: str) -> None:
        self.where = directory

    async def open(self) -> None:
        """Create the directory. Raises SinkError."""
        with self._reported():
            await asyncio.to_thread(make_directories, self.where)

    async def create(self, name: str, content: bytes, _: str) -> bool:
        """Link a file into place unless the name exists. Raises SinkError."""
        with self._reported():
            return await asyncio.to_thread(self._create, os.path.join(self.where, name), content)

    async def replace(self, name: str, content: bytes) -> None:
        """Rename a file into place. Raises SinkError."""
        with self._reported():
            await asyncio.to_thread(self._replace, os.path.join(self.where, name), content)

    async def read(self, name: str) -> bytes | None:
        """The bytes of a file, None if it does not exist. Raises SinkError."""
        with self._reported():
            return await asyncio.to_thread(_read, os.path.join(self.where, name))

    async def names(self) -> list[str]:
        """The names of all finished files; none if there is no directory. Raises SinkError."""
        with self._reported():
            return await asyncio.to_thread(_names, self.where)

    def _create(self, path: str, content: bytes) -> bool:
        make_directories(os.path.dirname(path))
        is_new = not os.path.exists(path)
        if is_new:
            _write(path + _TEMPORARY, content)
            os.link(path + _TEMPORARY, path)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path + _TEMPORARY)
        # Also where the file is there already: the process that linked it may have died before this.
        self._sync_folders(path)
        return is_new

    def _replace(self, path: str, content: bytes) -> None:
        make_directories(os.path.dirname(path))
        _write(path + _TEMPORARY, content)
        os.rename(path + _TEMPORARY, path)
        self._sync_folders(path)

    def _sync_folders(self, path: str) -> None:
        """Fsync every folder on the way to the file, from the directory on."""
        top = os.path.dirname(os.path.abspath(self.where))
        folder = os.path.abspath(path)
        while folder != top:
            folder = os.path.dirname(folder)
            _sync(folder)

    @contextlib.contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SinkError(f"{error.filename or self.where}: {error.strerror}") from error


def _write(path: str, content: bytes) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # of a process that was killed; or a link, through which another file would be written
    with named(path), open(path, "xb", opener=opener) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _names(directory: str) -> list[str]:
    """Follows links to folders, which may be on another disk, and takes each folder once."""
    found: list[str] = []
    seen: set[tuple[int, int]] = set()
    for folder, folders, names in os.walk(directory, onerror=_raise, followlinks=True):
        if not _is_new(folder, seen):
            folders.clear()
            continue
        paths = [os.path.join(folder, name) for name in names if not name.endswith(_TEMPORARY)]
        found += [os.path.relpath(path, directory) for path in paths]
    return found


def _is_new(folder: str, seen: set[tuple[int, int]]) -> bool:
    """Whether a folder was not seen yet, by whatever name; add it. False for one that is gone."""
    try:
        status = os.stat(folder)
    except FileNotFoundError:
        return False
    place = status.st_dev, status.st_ino
    is_new = place not in seen
    seen.add(place)
    return is_new


def _raise(error: OSError) -> None:
    """Let pass a directory that is gone: somebody tidies up, or nothing was delivered yet."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _sync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
