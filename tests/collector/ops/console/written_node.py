"""Logs and dead letters in a folder, written by hand, for the tests that read them as the console does."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from collector.ops.console.live.tail import Tail
from collector.ops.console.rows.redaction import Redaction
from collector.ops.console.rows.rows import EventRow
from tests.wal.logs import Clock
from wal.files import Files
from wal.format import HEADER_BYTES
from wal.log import Log

NOTHING_HIDDEN = Redaction(())
USER_IDS_HIDDEN = Redaction(("uid",))


def event(**fields: Any) -> bytes:
    """A record of an event with these fields."""
    record = {
        "id": "0123456789abcdef-1",
        "received_at": 1_700_000_000_123,
        "portal_id": 5,
        "prop_id": 6,
        "source": "web",
        "warnings": [],
        "event": {"ea": "view", "ec": "product", "uid": "u-1", **fields},
    }
    return json.dumps(record).encode() + b"\n"


def letter(raw: object = None, **members: Any) -> bytes:
    """A dead letter of an event."""
    record = {
        "id": "0123456789abcdef-1",
        "received_at": 1_700_000_000_456,
        "portal_id": 5,
        "prop_id": 6,
        "code": "invalid_event",
        "reason": "the event failed validation",
        "form": "json",
        "encoding": "json",
        "raw": raw,
        **members,
    }
    return json.dumps(record).encode() + b"\n"


class Unsynced(Files):
    """Files that need not survive a crash, since nothing is as slow as to make them."""

    def sync(self, descriptor: int) -> None:
        """Nothing."""

    sync_all = sync_names = sync


class Node:
    """A data folder. Its shards are written block by block."""

    def __init__(self, path: Path) -> None:
        self.log_directory = str(path / "log")
        self.letter_directory = str(path / "dead_letters")
        self.clock = Clock()
        self._logs: dict[str, Log] = {}

    def tail(self, **options: Any) -> Tail:
        """A tail of this folder that hides nothing unless told otherwise."""
        return Tail(self.log_directory, self.letter_directory, **{"redaction": NOTHING_HIDDEN, **options})

    def log(self, shard: str = "00", *, dead: bool = False) -> Log:
        """The log of a shard, or its dead letters; opened if it is not."""
        path = f"{self.letter_directory if dead else self.log_directory}/{shard}"
        if path not in self._logs:
            clock = self.clock
            self._logs[path] = Log(
                path, clock=clock, monotonic=clock.monotonic, segment_bytes=1 << 20, files=Unsynced()
            )
        return self._logs[path]

    def write(self, lines: Iterable[bytes], shard: str = "00", *, dead: bool = False, proven: bool = True) -> None:
        """Commit a block, a millisecond after the one before. `proven`: with the idle block that proves it durable."""
        block = list(lines)
        log = self.log(shard, dead=dead)
        self.clock.ms += 1
        log.commit(b"".join(block), len(block))
        if proven:
            log.mark_idle()

    def rotate(self, shard: str = "00") -> None:
        """Begin the next segment, a minute later."""
        self.clock.ms += 60_000
        self.log(shard).mark_idle()
        self.log(shard).mark_idle()

    def restart(self, shard: str = "00") -> None:
        """Close the log of a shard, and open it again."""
        self.log(shard).close()
        del self._logs[f"{self.log_directory}/{shard}"]
        self.log(shard)

    def segments(self, shard: str = "00") -> list[Path]:
        """The files of the segments of a shard, oldest first."""
        return sorted(Path(self.log_directory, shard).glob("seg-*"))

    def close(self) -> None:
        """Close all logs."""
        for log in self._logs.values():
            log.close()


def names(rows: Iterable[EventRow]) -> list[str | None]:
    """The actions of rows, and of damage its code."""
    return [row.ea or row.code for row in rows]


FIRST_PAYLOAD = 2 * HEADER_BYTES
"""The first byte of the first block's payload."""
