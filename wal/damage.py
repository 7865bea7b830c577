"""Damage: durable bytes that can no longer be read as blocks, and the ledger of it.

`damage.ndjson` in the log's directory has a line for each damaged place. The bytes are copied to `quarantine/`.
"""

import json
import os
import threading
from enum import StrEnum
from typing import Any, Final, NamedTuple

from wal.errors import Broken
from wal.files import copy_range, read_file, write_file
from wal.folder import LogFolder
from wal.format import Position

FILE_NAME: Final = "damage.ndjson"
QUARANTINE: Final = "quarantine"
_QUARANTINE_BYTES: Final = 64 << 20
"""Most bytes copied for one place: the size of a segment by default."""
_APPENDING: Final = threading.Lock()
"""The shippers of a log may meet damage at the same time, each in its own thread."""


class Kind(StrEnum):
    """What happened to the bytes."""

    CORRUPT = "corrupt"
    SHIFTED = "shifted"
    MISSING = "missing"


class Damage(NamedTuple):
    """Lost bytes and events, from `start` up to but not including `end`, where reading resumes.

    `kept_at` is the path of the copy in quarantine. It is None until the damage is in the ledger, and for a missing
    segment.
    """

    kind: Kind
    start: Position
    end: Position
    cause: str
    kept_at: str | None = None

    @property
    def lost(self) -> int:
        """Number of lost events."""
        return self.end.sequence - self.start.sequence

    def __str__(self) -> str:
        start, end = self.start, self.end
        events = f"events {start.sequence} to {end.sequence - 1} are lost" if self.lost else "no event is lost"
        return f"segment {start.segment} from byte {start.offset} on is {self.kind}: {events} ({self.cause})"


class Ledger(NamedTuple):
    """The content of `damage.ndjson`: its lines, each ending in LF, and what they say. Oldest first."""

    lines: tuple[bytes, ...] = ()
    entries: tuple[Damage, ...] = ()
    """A line names one segment, so the `end` of a missing segment has that segment's number too."""

    @property
    def missing_segments(self) -> set[int]:
        """The segments known to be missing, which therefore stop no reader."""
        return {entry.start.segment for entry in self.entries if entry.kind is Kind.MISSING}

    @property
    def next_sequence(self) -> int:
        """The first sequence after all damage; 1 if there is none."""
        return max((entry.end.sequence for entry in self.entries), default=1)

    def unrecorded(self, damage: Damage) -> list[Damage]:
        """The parts of `damage` that have no entry yet. Bytes next to known damage may be damaged later.

        A missing segment gets its own entry even if all its events were lost before.
        """
        if parts := self._newly_lost(damage):
            return parts
        start, is_missing = damage.start, damage.kind is Kind.MISSING
        known = [
            entry
            for entry in self.entries
            if entry.start.segment == start.segment and (entry.kind is Kind.MISSING) == is_missing
        ]
        if is_missing and not known:
            return [damage._replace(start=start._replace(sequence=damage.end.sequence))]
        if damage.lost or any(entry.start.offset == start.offset for entry in known):
            return []
        return [damage]

    def _newly_lost(self, damage: Damage) -> list[Damage]:
        """The parts whose events no entry has."""
        parts, start = [], damage.start
        for entry in sorted(self.entries, key=lambda entry: entry.start.sequence):
            first, end = entry.start, entry.end
            if start.sequence < end.sequence and first.sequence < min(end.sequence, damage.end.sequence):
                if start.sequence < first.sequence:
                    parts.append(damage._replace(start=start, end=first))
                start = end._replace(segment=start.segment)
        if start.sequence < damage.end.sequence:
            parts.append(damage._replace(start=start))
        return parts


def read_ledger(folder: LogFolder) -> Ledger:
    """The ledger, empty if the log has none. Raises Broken, OSError."""
    path = folder.file(FILE_NAME)
    try:
        lines = read_file(folder.files, path).splitlines()
        return Ledger(tuple(line + b"\n" for line in lines), tuple(map(_decode, lines)))
    except FileNotFoundError:
        return Ledger()
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Broken(path, 0, "a JSON object a line", "something else; move it aside, then `wal verify`") from None


def append(folder: LogFolder, found: Damage) -> None:
    """Append to damage.ndjson (fsynced) and copy the bytes to quarantine/. Idempotent. Raises OSError, Unreadable."""
    with _APPENDING:
        ledger = read_ledger(folder)
        if new := [_encode(_kept(folder, part)) for part in ledger.unrecorded(found)]:
            write_file(folder.files, folder.file(FILE_NAME), b"".join((*ledger.lines, *new)))


def quarantine(folder: LogFolder, start: Position, end: int) -> str:
    """Copy the bytes of a segment up to offset `end`, at most 64 MiB, to quarantine/ (fsynced). Returns the path."""
    name = next(name for name in folder.segments() if name.number == start.segment)
    directory = folder.file(QUARANTINE)
    folder.files.make_directory(directory)
    path = os.path.join(directory, f"{name}.{start.offset}")
    length = min(end - start.offset, _QUARANTINE_BYTES)
    copy_range(folder.files, folder.segment_file(name), path, start.offset, length)
    folder.files.sync_directory(directory)
    return path


def _kept(folder: LogFolder, part: Damage) -> Damage:
    if part.kind is Kind.MISSING:
        return part
    return part._replace(kept_at=quarantine(folder, part.start, part.end.offset))


def _encode(entry: Damage) -> bytes:
    line = {
        "v": 1,
        "kind": entry.kind,
        "seg": entry.start.segment,
        "from": {"off": entry.start.offset, "seq": entry.start.sequence},
        "to": {"off": entry.end.offset, "seq": entry.end.sequence},
        "lost": entry.lost,
        "cause": entry.cause,
        "kept_at": entry.kept_at,
    }
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def _decode(line: bytes) -> Damage:
    """The entry of a line. Raises KeyError, TypeError, ValueError."""
    value: dict[str, Any] = json.loads(line)
    start, end = value["from"], value["to"]
    numbers = (value["seg"], value["lost"], start["off"], start["seq"], end["off"], end["seq"])
    if not all(type(number) is int for number in numbers):
        raise TypeError(line)
    return Damage(
        Kind(value["kind"]),
        Position(value["seg"], start["off"], start["seq"]),
        Position(value["seg"], end["off"], end["seq"]),
        str(value.get("cause", "")),
        value.get("kept_at"),
    )
