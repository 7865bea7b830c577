"""`wal repair`: the steps that make a damaged log open again. They are printed first, and taken only on demand."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import NamedTuple

from wal import damage
from wal.cursor import Cursor
from wal.damage import Damage, Kind, read_ledger
from wal.errors import Broken, Corrupt, MissingSegment
from wal.folder import CURSORS, LogFolder
from wal.format import Position, SegmentName
from wal.identity import ensure_log_id, id_in_segments
from wal.reader import Reader
from wal.recovery import load_cursors, missing_numbers, recover, scan_last
from wal.tools.listing import end_of
from wal.tools.verify import Finding, read_on


class Step(NamedTuple):
    """One change to the log, in words and as a call."""

    text: str
    apply: Callable[[], object]


def plan(folder: LogFolder) -> list[Step]:
    """The steps of a repair in order, none if nothing is wrong. Whoever takes them holds the lock.

    Raises Broken if a person must decide, Unreadable, OSError.
    """
    steps = [
        Step(f"remove the unfinished file {path}", partial(folder.files.unlink, path)) for path in _unfinished(folder)
    ]
    names = folder.segments()
    log_id, restored = _identity(folder)
    steps += restored
    if names and log_id:
        folder = LogFolder(folder.files, folder.path, log_id)
        cursors = load_cursors(folder)
        steps += _missing(folder, names, cursors)
        steps += _sealed(folder, names)
        steps += _last(folder, names[-1], cursors)
    return steps


def _unfinished(folder: LogFolder) -> Iterator[str]:
    for path in (folder.path, folder.file(CURSORS)):
        yield from (os.path.join(path, name) for name in folder.files.names(path) if name.endswith(".tmp"))


def _identity(folder: LogFolder) -> tuple[bytes | None, list[Step]]:
    try:
        return folder.log_id, []
    except (Corrupt, FileNotFoundError):
        log_id = id_in_segments(folder)
        text = f"restore log.json with the id {log_id.decode()} of the segments" if log_id else "write a new log.json"
        return log_id, [Step(text, partial(ensure_log_id, folder))]


def _missing(folder: LogFolder, names: list[SegmentName], cursors: list[Cursor]) -> Iterator[Step]:
    """Record each missing segment, the first of a gap with all events of the gap."""
    numbers = missing_numbers(folder, names, cursors)
    for number in numbers:
        before = [name for name in names if name.number < number]
        later = [name for name in names if name.number > number]
        if not later:
            found = "no such file, and none after it; restore the log"
            raise MissingSegment(folder.path, 0, f"segment {number}", found)
        end = later[0].start
        if number - 1 in numbers:
            sequence = end.sequence
        elif before:
            sequence = end_of(folder, before[-1])[0].sequence
        else:
            sequence = min(cursor.acked.sequence for cursor in cursors)
        yield _append(folder, Damage(Kind.MISSING, Position(number, 0, sequence), end, "no such file"))


def _sealed(folder: LogFolder, names: list[SegmentName]) -> Iterator[Step]:
    """Record damage of sealed segments that damage.ndjson does not have yet."""
    ledger = read_ledger(folder)
    with closing(Reader(folder, names[0].start)) as reader:
        findings = [step for step in read_on(reader) if isinstance(step, Finding)]
    for step in findings:
        if step.kind in ("foreign", "broken"):
            raise Broken(
                step.path, 0, "a log whose segments follow one another", f"{step.message}; move this log aside"
            )
        found = step.damage
        if found and found.start.segment < names[-1].number and ledger.unrecorded(found):
            yield _append(folder, found)


def _last(folder: LogFolder, name: SegmentName, cursors: list[Cursor]) -> list[Step]:
    """Recover the last segment, as the next start would."""
    end, _, damages = scan_last(folder, name, cursors)
    ledger = read_ledger(folder)
    texts = [f"append to damage.ndjson: {found}" for found in damages if ledger.unrecorded(found)]
    size = os.path.getsize(folder.segment_file(name))
    if end.offset < size:
        texts.append(f"move {size - end.offset} bytes after byte {end.offset} of {name} to quarantine")
    return [Step("; ".join(texts), partial(recover, folder))] if texts else []


def _append(folder: LogFolder, found: Damage) -> Step:
    return Step(f"append to damage.ndjson: {found}", partial(damage.append, folder, found))
