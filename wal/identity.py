"""`log.json`: the identity of a log, made once at random and never changed."""

import os

from wal.errors import Corrupt
from wal.files import opened, write_file
from wal.folder import IDENTITY, LogFolder
from wal.format import HEADER_BYTES, decode_header


def ensure_log_id(folder: LogFolder) -> bytes:
    """The log's id. Creates `log.json` for a new log, and restores it from the segments if it is lost or damaged.

    Raises Corrupt if the segments do not agree on one id, OSError.
    """
    try:
        return folder.log_id
    except (FileNotFoundError, Corrupt) as fault:
        log_id = id_in_segments(folder)
        if log_id is None:
            if folder.segments():
                raise Corrupt(
                    folder.file(IDENTITY),
                    0,
                    "the log's id",
                    "none, and no single id in the headers of all segments; restore it",
                ) from fault
            log_id = os.urandom(8).hex().encode()
    write_file(folder.files, folder.file(IDENTITY), b'{"v":1,"log_id":"%b"}\n' % log_id)
    return log_id


def id_in_segments(folder: LogFolder) -> bytes | None:
    """The id that all whole segment headers have; None if they differ, or if there is none."""
    found = set()
    for name in folder.segments():
        with opened(folder.files, folder.files.open(folder.segment_file(name))) as descriptor:
            header = decode_header(folder.files.read(descriptor, HEADER_BYTES, 0))
        if header:
            found.add(header.log_id)
    return found.pop() if len(found) == 1 else None
