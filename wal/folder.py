"""A log's directory: its identity, its segments, its lock and the cursors of its consumers.

Owns the names of the files of a log, except for the names of damage. Does not decode segments.
"""

import json
import os
import re
from typing import Final

from wal.cursor import Cursor, decode_cursor, encode_cursor
from wal.errors import Corrupt, NoLog
from wal.files import Files, Room, locked, read_file, write_file
from wal.format import Position, SegmentName

IDENTITY: Final = "log.json"
CURSORS: Final = "cursors"
UNLISTED: Final = "this user may not list it, so nobody knows whether it is a log; run this as the user of the logs"
_NO_LOG: Final = "lost+found"
_LOCK: Final = "LOCK"
_SUFFIX: Final = ".json"
_LOG_ID: Final = re.compile("[0-9a-f]{16}")


def find_logs(files: Files, path: str) -> list["LogFolder"]:
    """The log at `path`, or the logs directly below it.

    Raises NoLog if there is none, PermissionError if there is none among the folders that may be listed,
    OSError.
    """
    found = logs_at(files, path)
    if not found:
        for folder in _below(files, path):
            folder.is_log()  # raises where logs_below passes over a folder
        raise NoLog(f"{path}: no log here, nor in a folder of it; expected a {IDENTITY}")
    return found


def logs_at(files: Files, path: str) -> list["LogFolder"]:
    """The log at `path` alone, or else the logs directly below it, if there are any. Raises OSError."""
    itself = LogFolder(files, path)
    return [itself] if itself.is_log() else logs_below(files, path)


def logs_below(files: Files, path: str) -> list["LogFolder"]:
    """The logs directly below `path`, if there are any. Raises OSError.

    A folder that may not be listed is passed over.
    """
    return [folder for folder in _below(files, path) if folder.is_readable_log()]


def unlisted_below(files: Files, path: str) -> list[str]:
    """The folders directly below `path` that may not be listed, so that nobody knows whether they are logs.

    `lost+found`, which a file system has at its top, is none. Raises OSError.
    """
    found = [folder.path for folder in _below(files, path) if not folder.is_listed()]
    return [folder for folder in found if os.path.basename(folder) != _NO_LOG]


def _below(files: Files, path: str) -> list["LogFolder"]:
    return [LogFolder(files, os.path.join(path, name)) for name in files.names(path)]


class LogFolder:
    """The directory of one log. Threads may share it."""

    def __init__(self, files: Files, path: str, log_id: bytes | None = None) -> None:
        """`files` makes the system calls. Without `log_id`, `log.json` is read when the id is first needed."""
        self.files = files
        self.path = path
        self._log_id = log_id

    @property
    def log_id(self) -> bytes:
        """The 16 hexadecimal digits that name this log. Raises FileNotFoundError, Corrupt."""
        if self._log_id is None:
            self._log_id = self._read_log_id()
        return self._log_id

    def file(self, *names: str) -> str:
        """The path of a file in this directory, or in a directory of it."""
        return os.path.join(self.path, *names)

    def is_log(self) -> bool:
        """Whether the directory has a log: a `log.json`, or at least a segment. Raises OSError."""
        return os.path.isdir(self.path) and (os.path.exists(self.file(IDENTITY)) or bool(self.segments()))

    def is_readable_log(self) -> bool:
        """Whether the directory may be listed, and has a log. Raises OSError other than PermissionError.

        Beside the shards may be a folder of another user, such as `lost+found`, which must hide none of them.
        """
        return self.is_listed() and self.is_log()

    def is_listed(self) -> bool:
        """Whether this process may list the directory. Raises OSError other than PermissionError."""
        try:
            self.is_log()
        except PermissionError:
            return False
        return True

    def segments(self) -> list[SegmentName]:
        """The segments, oldest first."""
        return [name for text in self.files.names(self.path) if (name := SegmentName.parse(text))]

    def segment_file(self, name: SegmentName) -> str:
        """The path of a segment."""
        return self.file(str(name))

    def oldest(self) -> Position | None:
        """The place of the first block, or None if there is no segment."""
        names = self.segments()
        return names[0].start if names else None

    def room(self) -> Room:
        """The free and total space of the file system. Raises OSError."""
        return self.files.room(self.path)

    def lock(self) -> int:
        """A descriptor that holds the log until it is closed or the process ends. Raises LogLocked, OSError."""
        return self.files.lock(self.file(_LOCK))

    def is_locked(self) -> bool:
        """Whether a writer holds the log now. Raises OSError."""
        return self.files.is_locked(self.file(_LOCK))

    def expect_unlocked(self) -> None:
        """Make sure that no writer holds the log now, without making a file. Raises LogLocked, OSError."""
        if self.is_locked():
            raise locked(self.file(_LOCK))

    def consumers(self) -> list[str]:
        """The names of the consumers with a cursor on this log."""
        names = self.files.names(self.file(CURSORS))
        return [name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)]

    def cursor_file(self, consumer: str) -> str:
        """The path of the cursor of `consumer`, which need not exist."""
        return self.file(CURSORS, consumer + _SUFFIX)

    def cursor(self, consumer: str) -> Cursor | None:
        """The durable cursor of `consumer`, or None if it has none. Raises Corrupt, OSError."""
        path = self.cursor_file(consumer)
        try:
            content = read_file(self.files, path)
        except FileNotFoundError:
            return None
        return decode_cursor(content, path, self.log_id, consumer)

    def save_cursor(self, consumer: str, cursor: Cursor) -> None:
        """Replace the cursor of `consumer`, durably. Raises OSError."""
        path, content = self.cursor_file(consumer), encode_cursor(cursor, self.log_id, consumer)
        try:
            write_file(self.files, path, content)
        except FileNotFoundError:
            self.files.make_directory(self.file(CURSORS))
            write_file(self.files, path, content)

    def ensure_cursor(self, consumer: str, start: Position) -> None:
        """Give `consumer` a cursor at `start` unless it has one, even a damaged one. Durable. Raises OSError."""
        self.files.make_directory(self.file(CURSORS))
        if consumer not in self.consumers():
            self.save_cursor(consumer, Cursor(start))

    def drop_cursor(self, consumer: str) -> bool:
        """Delete the cursor of `consumer`, durably; returns False if it has none. Raises OSError."""
        try:
            self.files.unlink(self.cursor_file(consumer))
        except FileNotFoundError:
            return False
        self.sync_cursors()
        return True

    def sync_cursors(self) -> None:
        """Make the names of all cursors durable: the process that wrote one may have ended before its sync."""
        self.files.sync_directory(self.file(CURSORS))

    def _read_log_id(self) -> bytes:
        path = self.file(IDENTITY)
        content = read_file(self.files, path)
        try:
            log_id = str(json.loads(content)["log_id"])
        except (ValueError, KeyError, TypeError, RecursionError):
            log_id = ""
        if not _LOG_ID.fullmatch(log_id):
            raise Corrupt(path, 0, '{"log_id":"<16 hexadecimal digits>"}', repr(content[:60]))
        return log_id.encode()
