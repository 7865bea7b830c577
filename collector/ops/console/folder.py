"""The folder `admin.dir`, where the console keeps what must survive a restart of its process."""

import contextlib
import os
from typing import Final

from wal.errors import LogLocked
from wal.files import Files, make_directories

_LOCK: Final = "LOCK"


def open_folder(path: str) -> str | None:
    """Create the folder, and hold it until this process ends. Returns its path; None if that is not possible.

    Then another process holds it, or this one may not write there: history is kept in memory alone.
    """
    with contextlib.suppress(OSError, LogLocked):
        make_directories(path)
        Files().lock(os.path.join(path, _LOCK))
        return path
    return None
