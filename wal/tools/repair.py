"""What would make a log open again, as a plan of steps: printed first, and carried out only when asked to."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from wal.cursor import Cursor
from wal.damage import Damage, Kind, account, record, unaccounted
from wal.errors import Broken, Corrupt, MissingSegment
from wal.files import Files
from wal.format import Position
from wal.identity import ensure_log_id, read_log_id, told_by_segments
from wal.reader import Reader, start_of
from wal.recovery import load_cursors, missing_numbers, recover, scan_last
from wal.segment import SegmentName, list_segments
from wal.tools.listing import end_of
from wal.tools.verify import Finding, read_on


class Step(NamedTuple):
    """One change to the log, in words and as a call."""

    text: str
    apply: Callable[[], object]


def plan(files: Files, directory: str) -> list[Step]:
    """The steps of a repair in their order, none where nothing is wrong. The caller holds the lock.

    Raises Broken for what no repair can decide, Unreadable, OSError.
    """
    steps = [
        Step(f"remove {path}, which was never finished", partial(files.unlink, path))
        for path in _unfinished(files, directory)
    ]
    names = list_segments(files, directory)
    log_id, restored = _identity(files, directory)
    steps += restored
    if names and log_id:
        cursors = load_cursors(files, directory, log_id)
        steps += _missing(files, directory, log_id, names, cursors)
        steps += _sealed(files, directory, log_id, names)
        steps += _last(files, directory, log_id, names[-1], cursors)
    return steps


def _unfinished(files: Files, directory: str) -> Iterator[str]:
    for folder in (directory, os.path.join(directory, "cursors")):
        yield from (os.path.join(folder, name) for name in files.names(folder) if name.endswith(".tmp"))


def _identity(files: Files, directory: str) -> tuple[bytes | None, list[Step]]:
    try:
        return read_log_id(files, directory), []
    except (Corrupt, FileNotFoundError):
        log_id = told_by_segments(files, directory)
        text = f"restore log.json with the id {log_id.decode()} of the segments" if log_id else "write a new log.json"
        return log_id, [Step(text, partial(ensure_log_id, files, directory))]


def _missing(
    files: Files, directory: str, log_id: bytes, names: list[SegmentName], cursors: list[Cursor]
) -> Iterator[Step]:
    """Each missing segment goes on the account, the first of a gap with the events of all of it."""
    numbers = missing_numbers(files, directory, names, cursors)
    for number in numbers:
        before = [name for name in names if name.number < number]
        behind = [name for name in names if name.number > number]
        if not behind:
            raise MissingSegment(directory, 0, f"segment {number}", "no such file, nor any behind it; restore the log")
        end = start_of(behind[0])
        if number - 1 in numbers:
            sequence = end.sequence
        elif before:
            sequence = end_of(files, directory, log_id, before[-1])[0].sequence
        else:
            sequence = min(cursor.acked.sequence for cursor in cursors)
        damage = Damage(Kind.MISSING, Position(number, 0, sequence), end, "no such file")
        yield _accounting(files, directory, damage)


def _sealed(files: Files, directory: str, log_id: bytes, names: list[SegmentName]) -> Iterator[Step]:
    """Damage of sealed segments that is not on the account yet."""
    known = account(files, directory)
    for step in read_on(files, directory, Reader(files, directory, log_id, start_of(names[0]))):
        if not isinstance(step, Finding):
            continue
        if step.kind in ("foreign", "broken"):
            raise Broken(
                step.path, 0, "a log whose segments follow one another", f"{step.message}; move this log aside"
            )
        damage = step.damage
        if damage and damage.start.segment < names[-1].number and unaccounted(known, damage):
            yield _accounting(files, directory, damage)


def _last(files: Files, directory: str, log_id: bytes, name: SegmentName, cursors: list[Cursor]) -> list[Step]:
    """What the next start would do anyway."""
    end, _, damages = scan_last(files, directory, log_id, name, cursors)
    known = account(files, directory)
    texts = [f"put on the account of damage: {damage}" for damage in damages if unaccounted(known, damage)]
    size = os.path.getsize(os.path.join(directory, str(name)))
    if end.offset < size:
        texts.append(f"move {size - end.offset} bytes behind byte {end.offset} of {name} to quarantine")
    return [Step("; ".join(texts), partial(recover, files, directory, log_id))] if texts else []


def _accounting(files: Files, directory: str, damage: Damage) -> Step:
    return Step(f"put on the account of damage: {damage}", partial(record, files, directory, damage))
