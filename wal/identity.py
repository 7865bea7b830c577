"""`log.json`: the identity of a log, made once from randomness and never changed."""

import json
import os
import re
from typing import Final

from wal.errors import Corrupt
from wal.files import Files, read_file, write_file
from wal.segment import list_segments

FILE_NAME: Final = "log.json"
_LOG_ID: Final = re.compile("[0-9a-f]{16}")


def read_log_id(files: Files, directory: str) -> bytes:
    """The 16 hexadecimal digits that name this log. Raises FileNotFoundError, Corrupt."""
    path = os.path.join(directory, FILE_NAME)
    content = read_file(files, path)
    try:
        log_id = str(json.loads(content)["log_id"])
    except (ValueError, KeyError, TypeError):
        log_id = ""
    if not _LOG_ID.fullmatch(log_id):
        raise Corrupt(path, 0, '{"log_id":"<16 hexadecimal digits>"}', repr(content[:60]))
    return log_id.encode()


def ensure_log_id(files: Files, directory: str) -> bytes:
    """The log's id; a new one where the directory has no log yet. Raises Corrupt, OSError."""
    try:
        return read_log_id(files, directory)
    except FileNotFoundError:
        pass
    if segments := list_segments(files, directory):
        raise Corrupt(
            os.path.join(directory, FILE_NAME), 0, "the file", f"none, though {segments[0]} is there; restore it"
        )
    log_id = os.urandom(8).hex()
    write_file(files, os.path.join(directory, FILE_NAME), b'{"v":1,"log_id":"%b"}\n' % log_id.encode())
    return log_id.encode()
