"""`log.json`: the identity of a log, made once from randomness and never changed."""

import json
import os
import re
from typing import Final

from wal.errors import Corrupt
from wal.files import Files, read_file, write_file
from wal.format import HEADER_BYTES, decode_header
from wal.segment import list_segments

FILE_NAME: Final = "log.json"
_LOG_ID: Final = re.compile("[0-9a-f]{16}")


def read_log_id(files: Files, directory: str) -> bytes:
    """The 16 hexadecimal digits that name this log. Raises FileNotFoundError, Corrupt."""
    path = os.path.join(directory, FILE_NAME)
    content = read_file(files, path)
    try:
        log_id = str(json.loads(content)["log_id"])
    except (ValueError, KeyError, TypeError, RecursionError):
        log_id = ""
    if not _LOG_ID.fullmatch(log_id):
        raise Corrupt(path, 0, '{"log_id":"<16 hexadecimal digits>"}', repr(content[:60]))
    return log_id.encode()


def ensure_log_id(files: Files, directory: str) -> bytes:
    """The log's id: a new one where there is no log yet, and that of its segments where `log.json` is lost or damaged.

    Raises Corrupt where neither tells it, OSError.
    """
    try:
        return read_log_id(files, directory)
    except (FileNotFoundError, Corrupt) as fault:
        log_id = told_by_segments(files, directory)
        if log_id is None:
            if list_segments(files, directory):
                raise Corrupt(
                    os.path.join(directory, FILE_NAME),
                    0,
                    "the log's id",
                    "none, and no one id in the headers of all segments; restore it",
                ) from fault
            log_id = os.urandom(8).hex().encode()
    write_file(files, os.path.join(directory, FILE_NAME), b'{"v":1,"log_id":"%b"}\n' % log_id)
    return log_id


def told_by_segments(files: Files, directory: str) -> bytes | None:
    """The id that all whole segment headers agree on; None if they do not, or there is none."""
    found = set()
    for name in list_segments(files, directory):
        descriptor = files.open(os.path.join(directory, str(name)))
        try:
            header = decode_header(files.read(descriptor, HEADER_BYTES, 0))
        finally:
            files.close(descriptor)
        if header:
            found.add(header.log_id)
    return found.pop() if len(found) == 1 else None
