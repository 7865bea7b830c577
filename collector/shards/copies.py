"""Copies of logs in `log.dir`. To write or ship both would give different events one id, or one event twice."""

import contextlib
from collections.abc import Iterable

from wal.errors import WalError
from wal.files import Files
from wal.folder import LogFolder


def copies_in(files: Files, paths: Iterable[str]) -> dict[str, str]:
    """The paths of the logs whose id another one of `paths` has, each with the path of such a one.

    Nobody can tell which of the two is the copy. What is no log, or has no id that can be read, is left out.
    """
    firsts: dict[bytes, str] = {}
    copies: dict[str, str] = {}
    for path in paths:
        with contextlib.suppress(WalError, OSError):
            first = firsts.setdefault(LogFolder(files, path).log_id, path)
            if first != path:
                copies[path] = first
                copies.setdefault(first, path)
    return copies
