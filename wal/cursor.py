"""A consumer's cursor: what it has delivered, and the batch that it is about to deliver.

The file is `cursors/<consumer>.json`, one line whose last member `crc` is the CRC-32C of all bytes before `,"crc"`.
"""

import json
import os
from typing import Any, Final, NamedTuple

from wal.errors import Corrupt
from wal.files import Files, read_file, write_file
from wal.format import Position, crc32c

_VERSION: Final = 1
_DIRECTORY: Final = "cursors"
_SUFFIX: Final = ".json"


class Intent(NamedTuple):
    """A batch that was cut: the same places and the same token after every crash, until it is delivered.

    A batch that has to go out in parts is settled before sequence `next`; from there on `size` events go out at a time,
    0 meaning all.
    """

    first: Position
    last: Position
    token: str
    next: int = 0
    size: int = 0


class Cursor(NamedTuple):
    """Everything before `acked` is delivered; `intent` is the batch under way, if one is."""

    acked: Position
    intent: Intent | None = None


def load_cursor(files: Files, directory: str, log_id: bytes, consumer: str) -> Cursor | None:
    """The durable cursor of `consumer`, or None if it has none. Raises Corrupt."""
    path = _path(directory, consumer)
    try:
        content = read_file(files, path)
    except FileNotFoundError:
        return None
    text, _, crc = content.rpartition(b',"crc"')
    if crc != b':"%08x"}\n' % crc32c(text):
        raise Corrupt(path, 0, "a cursor with its CRC", "another CRC")
    value = json.loads(content)
    if (value["v"], value["log_id"], value["consumer"]) != (_VERSION, log_id.decode(), consumer):
        raise Corrupt(path, 0, f"a cursor of {consumer} on log {log_id.decode()}", f"one of {value['log_id']}")
    return Cursor(_position(value["acked"]), _intent(value["inflight"]))


def ensure_cursor(files: Files, directory: str, log_id: bytes, consumer: str, start: Position) -> None:
    """Give `consumer` a cursor at `start` unless it has one, be it damaged; either is durable then. Raises OSError."""
    files.make_directory(os.path.join(directory, _DIRECTORY))
    if consumer not in consumers(files, directory):
        save_cursor(files, directory, log_id, consumer, Cursor(start))


def drop_cursor(files: Files, directory: str, consumer: str) -> bool:
    """Let `consumer` hold nothing any more, durably; False where it has no cursor. Raises OSError."""
    try:
        files.unlink(_path(directory, consumer))
    except FileNotFoundError:
        return False
    sync_cursors(files, directory)
    return True


def save_cursor(files: Files, directory: str, log_id: bytes, consumer: str, cursor: Cursor) -> None:
    """Replace the cursor of `consumer`, durably. Raises OSError."""
    value = {
        "v": _VERSION,
        "log_id": log_id.decode(),
        "consumer": consumer,
        "acked": _members(cursor.acked),
        "inflight": cursor.intent and _inflight(cursor.intent),
    }
    text = json.dumps(value, separators=(",", ":"))[:-1].encode()
    content = b'%b,"crc":"%08x"}\n' % (text, crc32c(text))
    try:
        write_file(files, _path(directory, consumer), content)
    except FileNotFoundError:
        files.make_directory(os.path.join(directory, _DIRECTORY))
        write_file(files, _path(directory, consumer), content)


def sync_cursors(files: Files, directory: str) -> None:
    """Make the cursors that can be read durable. Raises OSError."""
    files.sync_directory(os.path.join(directory, _DIRECTORY))


def consumers(files: Files, directory: str) -> list[str]:
    """The names that have a cursor on this log."""
    names = files.names(os.path.join(directory, _DIRECTORY))
    return [name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)]


def _path(directory: str, consumer: str) -> str:
    return os.path.join(directory, _DIRECTORY, consumer + _SUFFIX)


def _inflight(intent: Intent) -> dict[str, object]:
    members: dict[str, object] = {
        "from": _members(intent.first),
        "to": _members(intent.last),
        "token": intent.token,
    }
    if intent.next or intent.size:
        members["part"] = {"seq": intent.next, "size": intent.size}
    return members


def _intent(members: dict[str, Any] | None) -> Intent | None:
    if members is None:
        return None
    part = members.get("part", {"seq": 0, "size": 0})
    return Intent(_position(members["from"]), _position(members["to"]), members["token"], part["seq"], part["size"])


def _members(position: Position) -> dict[str, int]:
    return {"seg": position.segment, "off": position.offset, "seq": position.sequence}


def _position(members: dict[str, int]) -> Position:
    return Position(members["seg"], members["off"], members["seq"])
