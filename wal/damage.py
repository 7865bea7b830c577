"""Damage: durable bytes that can't be read as blocks any more. Finds where reading can go on, and keeps account.

`damage.ndjson` in the log's directory has a line for each place; the bytes, as they are, go to `quarantine/`.
"""

import json
import os
import threading
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Final, NamedTuple

from wal.errors import Broken
from wal.files import copy_range, read_file, write_file
from wal.folder import LogFolder
from wal.format import BLOCK_KIND, HEADER_BYTES, Header, Position, decode_header
from wal.segment import SegmentReader

FILE_NAME: Final = "damage.ndjson"
QUARANTINE: Final = "quarantine"
_QUARANTINE_BYTES: Final = 64 << 20
"""Of one place, no more than a segment holds by default."""
_CHUNK_BYTES: Final = 1 << 20
_ACCOUNTING: Final = threading.Lock()
"""Shippers of one log may meet damage at the same time, each in a thread of its own."""


class Kind(StrEnum):
    """What became of the bytes."""

    CORRUPT = "corrupt"
    SHIFTED = "shifted"
    MISSING = "missing"


class Damage(NamedTuple):
    """Bytes and events that are lost: those from `start` on, up to and not including `end`, where reading goes on."""

    kind: Kind
    start: Position
    end: Position
    cause: str

    @property
    def lost(self) -> int:
        """How many events are lost."""
        return self.end.sequence - self.start.sequence

    def __str__(self) -> str:
        start, end = self.start, self.end
        events = f"events {start.sequence} to {end.sequence - 1} are lost" if self.lost else "no event is lost"
        return f"segment {start.segment} from byte {start.offset} on is {self.kind}: {events} ({self.cause})"


def examine(
    reader: SegmentReader, place: Position, proven: Position | None, cause: str, *, whole: int
) -> Damage | None:
    """The damage at `place`, where no whole block stands; None if it may be what a crash leaves of a last write.

    `proven` is a place up to which this segment is known to have been durable, if something outside of it says so.
    `whole` is the byte up to which all could be read: a cut behind it moves headers before their places.
    """
    if proven is not None and proven.offset <= place.offset:
        proven = None
    own = reader.block_header(place.offset)
    shifted_end = place.sequence
    for at, header in _headers_from(reader, whole):
        if proven is not None and at >= proven.offset:
            break
        if at != header.offset:
            shifted_end = max(shifted_end, header.sequence + header.records)
        elif at > place.offset and header.sequence >= place.sequence and (proven or header.durable > place.offset):
            good = Position(place.segment, at, header.sequence)
            return Damage(Kind.CORRUPT, place, _resume(own, good), cause)
    if proven is not None:
        return Damage(Kind.CORRUPT, place, _resume(own, proven), cause)
    if shifted_end > place.sequence:
        return Damage(Kind.SHIFTED, place, Position(place.segment, reader.size(), shifted_end), cause)
    return None


def _resume(own: Header | None, good: Position) -> Position:
    """Where reading goes on: right behind the damaged block if its own header is whole, else at the next good place."""
    if own is not None and own.end <= good.offset:
        return Position(good.segment, own.end, own.sequence + own.records)
    return good


def _headers_from(reader: SegmentReader, offset: int) -> Iterator[tuple[int, Header]]:
    """Block headers of this log and segment anywhere from `offset` on, each with the byte that it stands at."""
    magic = b'["%b","%b",' % (BLOCK_KIND, reader.log_id)
    for start in range(offset, reader.size(), _CHUNK_BYTES):
        chunk = reader.raw(start, _CHUNK_BYTES + HEADER_BYTES - 1)
        at = chunk.find(magic)
        while 0 <= at < _CHUNK_BYTES:
            header = decode_header(chunk[at : at + HEADER_BYTES])
            if header and header.segment == reader.name.number:
                yield start + at, header
            at = chunk.find(magic, at + 1)


def record(folder: LogFolder, damage: Damage) -> None:
    """Put damage on the account, durably, and its bytes into quarantine. Twice is once. Raises OSError, Unreadable."""
    with _ACCOUNTING:
        known = account(folder)
        if new := [_line(folder, part) for part in unaccounted(known, damage)]:
            content = b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in (*known, *new))
            write_file(folder.files, folder.file(FILE_NAME), content)


def _line(folder: LogFolder, damage: Damage) -> dict[str, Any]:
    kept_at = None
    if damage.kind is not Kind.MISSING:
        kept_at = keep(folder, damage.start, damage.end.offset)
    return {
        "v": 1,
        "kind": damage.kind,
        "seg": damage.start.segment,
        "from": {"off": damage.start.offset, "seq": damage.start.sequence},
        "to": {"off": damage.end.offset, "seq": damage.end.sequence},
        "lost": damage.lost,
        "cause": damage.cause,
        "kept_at": kept_at,
    }


def keep(folder: LogFolder, start: Position, end: int) -> str:
    """Copy bytes of a segment into quarantine, at most _QUARANTINE_BYTES, durably; returns the copy's path."""
    name = next(name for name in folder.segments() if name.number == start.segment)
    quarantine = folder.file(QUARANTINE)
    folder.files.make_directory(quarantine)
    path = os.path.join(quarantine, f"{name}.{start.offset}")
    length = min(end - start.offset, _QUARANTINE_BYTES)
    copy_range(folder.files, folder.segment_file(name), path, start.offset, length)
    folder.files.sync_directory(quarantine)
    return path


def missing_segments(folder: LogFolder) -> set[int]:
    """The segments whose absence is on the account, so that it halts nobody any more."""
    return {line["seg"] for line in account(folder) if line["kind"] == Kind.MISSING}


def next_sequence(folder: LogFolder) -> int:
    """The first sequence behind all damage on the account; 1 if there is none."""
    return max((line["to"]["seq"] for line in account(folder)), default=1)


def unaccounted(lines: list[dict[str, Any]], damage: Damage) -> list[Damage]:
    """The parts of damage that are not on an account yet. What is next to known damage may be damaged later.

    A segment's absence has a line of its own, also where all its events were lost before.
    """
    parts = _lost_anew(lines, damage)
    if parts:
        return parts
    start = damage.start
    is_missing = damage.kind is Kind.MISSING
    known = [line for line in lines if line["seg"] == start.segment and (line["kind"] == Kind.MISSING) == is_missing]
    if is_missing and not known:
        return [damage._replace(start=start._replace(sequence=damage.end.sequence))]
    if damage.lost or any(line["from"]["off"] == start.offset for line in known):
        return []
    return [damage]


def _lost_anew(lines: list[dict[str, Any]], damage: Damage) -> list[Damage]:
    """The parts with events that no line has."""
    parts, start = [], damage.start
    for line in sorted(lines, key=lambda line: line["from"]["seq"]):
        first, end = line["from"], line["to"]
        if start.sequence < end["seq"] and first["seq"] < min(end["seq"], damage.end.sequence):
            if start.sequence < first["seq"]:
                parts.append(damage._replace(start=start, end=Position(line["seg"], first["off"], first["seq"])))
            start = Position(start.segment, end["off"], end["seq"])
    if start.sequence < damage.end.sequence:
        parts.append(damage._replace(start=start))
    return parts


def account(folder: LogFolder) -> list[dict[str, Any]]:
    """The lines of `damage.ndjson`, oldest first. Raises Broken."""
    path = folder.file(FILE_NAME)
    try:
        return [_checked(json.loads(line)) for line in read_file(folder.files, path).splitlines()]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Broken(path, 0, "a JSON object a line", "something else; move it aside, then `wal verify`") from None


def _checked(line: dict[str, Any]) -> dict[str, Any]:
    """The line, if its numbers are. Raises KeyError, TypeError, ValueError."""
    numbers = (line["seg"], line["lost"], *(line[end][name] for end in ("from", "to") for name in ("off", "seq")))
    if not all(type(number) is int for number in numbers):
        raise TypeError(line)
    return line | {"kind": Kind(line["kind"])}
