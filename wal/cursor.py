"""A consumer's cursor, pure: bytes to values and back.

The file is `cursors/<consumer>.json`, one line whose last member `crc` is the CRC-32C of all bytes before `,"crc"`.
"""

import json
from typing import Any, Final, NamedTuple

from wal.errors import Corrupt
from wal.format import Position, crc32c

_VERSION: Final = 1


class Intent(NamedTuple):
    """The batch under way: its bounds and its token stay the same after every crash, until it is delivered.

    A batch may have to be delivered in parts. Then all events before sequence `next` are settled, and the others go
    out `size` at a time (0: all at once).
    """

    first: Position
    last: Position
    token: str
    next: int = 0
    size: int = 0


class Cursor(NamedTuple):
    """Everything before `acked` is delivered. `intent` is the batch under way, if there is one."""

    acked: Position
    intent: Intent | None = None

    @property
    def settled(self) -> int:
        """The sequence after the last event that is delivered or refused, also within the batch under way."""
        return max(self.acked.sequence, self.intent.next if self.intent else 0)


def decode_cursor(content: bytes, path: str, log_id: bytes, consumer: str) -> Cursor:
    """The cursor of `consumer` on the log `log_id`, from the bytes of its file at `path`. Raises Corrupt."""
    text, _, crc = content.rpartition(b',"crc"')
    if crc != b':"%08x"}\n' % crc32c(text):
        raise Corrupt(path, 0, "a cursor with its CRC", "another CRC")
    try:
        value = json.loads(content)
        if value["v"] != _VERSION:
            found = f"version {value['v']}, which the collector reads that wrote it"
            raise Corrupt(path, 0, f"a cursor of version {_VERSION}", found)
        if (value["log_id"], value["consumer"]) != (log_id.decode(), consumer):
            found = f"one of {value['consumer']} on log {value['log_id']}"
            raise Corrupt(path, 0, f"a cursor of {consumer} on log {log_id.decode()}", found)
        return Cursor(_position(value["acked"]), _intent(value["inflight"]))
    except (KeyError, TypeError, ValueError) as error:
        raise Corrupt(path, 0, "the members of a cursor", repr(error)) from None


def encode_cursor(cursor: Cursor, log_id: bytes, consumer: str) -> bytes:
    """The bytes of the file that holds a cursor."""
    value = {
        "v": _VERSION,
        "log_id": log_id.decode(),
        "consumer": consumer,
        "acked": _members(cursor.acked),
        "inflight": cursor.intent and _inflight(cursor.intent),
    }
    text = json.dumps(value, separators=(",", ":"))[:-1].encode()
    return b'%b,"crc":"%08x"}\n' % (text, crc32c(text))


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
