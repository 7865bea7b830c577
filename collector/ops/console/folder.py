"""The folder `admin.dir`, where the console keeps the state that survives a restart of its process."""

import os
from typing import Final

from collector.process_log.of_console import HistoryInMemory
from wal.errors import LogLocked, cause_of
from wal.files import Files, make_directories

_LOCK: Final = "LOCK"
_ADVICE: Final = "let this user write there, or set admin.dir to another folder, and restart"


def open_folder(path: str) -> str | None:
    """Create the folder, and hold it until this process ends. Returns its path; None if that is not possible.

    Then another process holds it, or this one may not write there: history is kept in memory alone, and a line of the
    process log says so.
    """
    try:
        make_directories(path)
        Files().lock(os.path.join(path, _LOCK))
    except LogLocked:
        HistoryInMemory(path, "held by another process", "give each node an admin.dir of its own").write()
    except OSError as error:
        report_memory(path, cause_of(error))
    else:
        return path
    return None


def report_memory(path: str, cause: str) -> None:
    """Say in the process log that a file or folder can't be used, so that history is kept in memory alone."""
    HistoryInMemory(path, cause, _ADVICE).write()
