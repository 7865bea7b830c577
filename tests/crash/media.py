"""Media damage to the simulated disk of a log at rest: what no crash does, and what may be lost by it.

Bytes are damaged where something proves that they were durable: in a sealed segment up to its end, in the last one up
to its last block header or to a cursor. Behind that, damage and a torn write are the same.
"""

from collections.abc import Callable
from itertools import pairwise
from random import Random

import wal.damage
from tests.crash.history import DIRECTORY, History
from tests.crash.simulated_storage import SECTOR
from tests.crash.violation import require
from wal.damage import FILE_NAME, Damage, Kind
from wal.errors import Corrupt
from wal.folder import LogFolder
from wal.format import HEADER_BYTES, Position, SegmentName, decode_header

_EVERYTHING = 1 << 40


def damage_media(history: History, damage: Callable[[History], None]) -> None:
    """Do this damage. Call it behind `crash`; there must be something to damage."""
    if LogFolder(history.files, DIRECTORY).segments():
        history.is_damaged = history.is_unseen = True
        history.tally["media damages"] += 1
        damage(history)


def overwrite_bytes(history: History) -> None:
    """Change bytes in their places: the blocks that they are in may be lost, and no other (I5)."""
    if (chosen := _choose(history)) is None:
        return
    name, end = chosen
    file, random = history.files.file(_path(name)), history.random
    first = random.randrange(end)
    last = min(end, random.choice((first + 1, (first // SECTOR + 1) * SECTOR, first + random.randint(1, 400))))
    content = bytes(file.content)
    file.replace(content[:first] + _other(random, content, first, last) + content[last:])
    _note(history, name, first, last)


def shift_bytes(history: History) -> None:
    """Cut bytes out or put some in: all behind them in that segment may be lost."""
    if (chosen := _choose(history)) is None:
        return
    name, end = chosen
    file, random = history.files.file(_path(name)), history.random
    content, first = bytes(file.content), random.choice(_boundaries(history, name, end))
    if random.random() < 0.5:
        last = min(end, first + random.choice((1, random.randint(1, 300), 2 * SECTOR)))
        file.replace(content[:first] + content[last:])
    else:
        origin = random.randrange(len(content))
        extra = random.choice((b"\n", b"\0" * SECTOR, content[origin : origin + random.randint(1, 700)]))
        file.replace(content[:first] + extra + content[first:])
    _note(history, name, first, _EVERYTHING)
    history.shifted.add(name.number)


def lose_a_segment(history: History) -> None:
    """Remove a segment from the middle: no start goes on (I10) until it is back, or given up for good."""
    names = LogFolder(history.files, DIRECTORY).segments()
    needed = min((acked.segment for acked in _cursors(history)), default=_EVERYTHING)
    middle = [each for each in pairwise(names[1:]) if each[0].number < needed]
    if not middle:
        return
    name, following = history.random.choice(middle)
    file = history.files.replace(_path(name), None)
    require(history.outcome(history.clone()) is None, "I10 a missing segment halts", name)
    if history.random.random() < 0.5:
        history.files.replace(_path(name), file)
        return
    end = Position(following.number, HEADER_BYTES, following.sequence)
    wal.damage.append(
        LogFolder(history.files, DIRECTORY),
        Damage(Kind.MISSING, Position(name.number, 0, name.sequence), end, "no file"),
    )
    _note(history, name, 0, _EVERYTHING)


def swap_segments(history: History) -> None:
    """Give two segments each the content of the other: it is lost and reported, or left for a person to decide."""
    names = LogFolder(history.files, DIRECTORY).segments()
    if len(names) < 2:
        return
    names = history.random.sample(names, 2)
    files = [history.files.file(_path(name)) for name in names]
    contents = [bytes(file.content) for file in files]
    files[0].replace(contents[1])
    files[1].replace(contents[0])
    if history.outcome(history.clone()) is None:
        files[0].replace(contents[0])
        files[1].replace(contents[1])
    else:
        for name in names:
            _note(history, name, 0, _EVERYTHING)


def spoil_a_small_file(history: History) -> None:
    """Damage a file that is no segment. A start goes on without it, or says what is wrong; no event is lost."""
    paths = ["log.json", "current.ndjson", FILE_NAME, "cursors/ship.json", "cursors/slow.json"]
    path = f"{DIRECTORY}/{history.random.choice(paths)}"
    if path.endswith("current.ndjson"):
        history.files.replace(path, None)
        return
    try:
        file = history.files.file(path)
    except FileNotFoundError:
        return
    content = bytes(file.content)
    first = history.random.randrange(len(content) or 1)
    kinds = (content[:first], content[:first] + b"?" + content[first + 1 :], b"\0" * len(content), b"")
    file.replace(history.random.choice(kinds))
    if history.outcome(history.clone()) is None or path.endswith(FILE_NAME):
        file.replace(content)


DAMAGES = (*(overwrite_bytes,) * 3, *(shift_bytes,) * 2, lose_a_segment, swap_segments, spoil_a_small_file)
"""The kinds of damage, each as often as it is worth."""


def _choose(history: History) -> tuple[SegmentName, int] | None:
    """A segment and the end of its bytes that are proven durable; none whose bytes could be shifted back in place."""
    names = LogFolder(history.files, DIRECTORY).segments()
    ends = [_sealed_end(history, *each) for each in pairwise(names)]
    ends.append(_proven_end(history, names[-1]))
    sizes = [len(history.files.file(_path(name)).content) for name in names]
    found = [(name, min(end, size)) for name, end, size in zip(names, ends, sizes, strict=True) if size]
    found = [each for each in found if each[0].number not in history.shifted]
    return history.random.choice(found) if found else None


def _sealed_end(history: History, name: SegmentName, following: SegmentName) -> int:
    header = decode_header(bytes(history.files.file(_path(following)).content[:HEADER_BYTES]))
    is_told = header is not None and following.number == name.number + 1 == header.segment
    return header.durable if header and is_told else HEADER_BYTES


def _proven_end(history: History, name: SegmentName) -> int:
    """Where the last whole header of the last segment stands, or a cursor that is further."""
    known = [each for each in (*history.blocks.values(), *history.idle) if each.start.segment == name.number]
    end = max((each.end.offset for each in known), default=HEADER_BYTES)
    torn = decode_header(bytes(history.files.file(_path(name)).content[end : end + HEADER_BYTES]))
    is_torn = torn is not None and (torn.segment, torn.offset) == (name.number, end)
    places = [acked.offset for acked in _cursors(history) if acked.segment == name.number]
    return max([HEADER_BYTES, *places, *(each.start.offset for each in known), end if is_torn else 0])


def _cursors(history: History) -> list[Position]:
    """Where the consumers are, as far as their cursors can be read."""
    found = []
    for consumer in history.consumers:
        try:
            log_id = LogFolder(history.files, DIRECTORY).log_id
            cursor = LogFolder(history.files, DIRECTORY, log_id).cursor(consumer.name)
        except (Corrupt, FileNotFoundError):
            continue
        if cursor:
            found.append(cursor.acked)
    return found


def _boundaries(history: History, name: SegmentName, end: int) -> list[int]:
    """Places for a cut: some anywhere, and where blocks begin."""
    starts = [each.start.offset for each in history.blocks.values() if each.start.segment == name.number]
    return [history.random.randrange(end), history.random.randrange(end), *(each for each in starts if each < end)]


def _other(random: Random, content: bytes, first: int, last: int) -> bytes:
    """Bytes to stand in the place of these: a bit flipped, zeros, or a copy from elsewhere."""
    length = last - first
    origin = random.randrange(len(content))
    flipped = bytes([content[first] ^ 1 << random.randrange(8)]) + content[first + 1 : last]
    return random.choice((flipped, b"\0" * length, content[origin : origin + length].ljust(length, b" ")))


def _note(history: History, name: SegmentName, first: int, last: int) -> None:
    """What stands between these bytes of a segment may be lost."""
    history.hit |= {
        events.start.sequence
        for events in history.blocks.values()
        if events.start.segment == name.number and events.start.offset < last and first < events.end.offset
    }


def _path(name: SegmentName) -> str:
    return f"{DIRECTORY}/{name}"
