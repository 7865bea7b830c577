"""Copies of logs in `log.dir`. To write or ship both would give different events one id, or one event twice."""

import contextlib
import os

from wal.errors import WalError
from wal.files import Files
from wal.folder import LogFolder


def copies_in(files: Files, directory: str) -> dict[str, str]:
    """The paths of the logs below a directory whose id another one has, each with the path of the other.

    Nobody can tell which of the two is the copy. Logs whose id can't be read are left out. Raises OSError.
    """
    firsts: dict[bytes, str] = {}
    copies: dict[str, str] = {}
    for name in files.names(directory):
        path = os.path.join(directory, name)
        with contextlib.suppress(WalError, OSError):
            first = firsts.setdefault(LogFolder(files, path).log_id, path)
            if first != path:
                copies[path] = first
                copies.setdefault(first, path)
    return copies


def copy_of(files: Files, directory: str, name: str) -> str | None:
    """The path of another shard that a worker could open and that has the id of this one. Raises OSError."""
    other = copies_in(files, directory).get(os.path.join(directory, name))
    return other if other and os.path.basename(other).isdecimal() else None
