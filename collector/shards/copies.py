"""Copies of logs in `log.dir`. To write or ship both would give different events one id, or one event twice."""

import contextlib
import os
from typing import Final

from wal.errors import Broken, WalError
from wal.files import Files
from wal.folder import IDENTITY, LogFolder

_ADVICE: Final = "one of the two is a copy: move it out of this folder"


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


def check_no_copy(files: Files, directory: str, name: str) -> None:
    """Raise Broken if the shard of this name has the id of another shard that a worker could open. Raises OSError."""
    path = os.path.join(directory, name)
    other = copies_in(files, directory).get(path)
    if other and os.path.basename(other).isdecimal():
        raise Broken(os.path.join(path, IDENTITY), 0, "an id that no other log here has", f"that of {other}; {_ADVICE}")
