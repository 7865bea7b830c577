"""The logs of the events at a glance: each shard with its cursors, and its segments a page at a time."""

import os
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, Literal

from msgspec import Struct

from collector.ops.status import is_held
from collector.settings import Settings
from collector.ship.status import state_of
from wal.damage import Damage, Kind, read_ledger
from wal.errors import WalError
from wal.files import Files
from wal.folder import LogFolder, logs_at
from wal.format import Position, SegmentName
from wal.tools.listing import end_of_log, opened_ms

SegmentState = Literal["open", "waits", "delivered", "kept"]
"""`kept`: no sink has a cursor in this shard."""
_UNREADABLE: Final = "unreadable"


class ShardCursor(Struct, frozen=True):
    """How far a sink is in a shard. None where its cursor can't be read."""

    sink: str
    next_sequence: int | None
    behind: int | None
    state: str


class ShardSummary(Struct, frozen=True):
    """A log of events. Where it can't be read, `error` says why."""

    shard: str
    path: str
    """Its folder, for commands."""
    worker: int | None
    """The place of the worker that writes it, None for a shard that none holds."""
    log: str | None = None
    bytes: int = 0
    segments: int = 0
    next_sequence: int | None = None
    damaged_events: int = 0
    error: str | None = None
    cursors: tuple[ShardCursor, ...] = ()


class DamagedPlace(Struct, frozen=True):
    """Events of a segment that are lost."""

    offset: int
    first_sequence: int
    last_sequence: int
    message: str


class SegmentSummary(Struct, frozen=True):
    """A segment; `last_sequence` is one less than `first_sequence` if it is empty. Times are Unix ms."""

    number: int
    file: str
    first_sequence: int
    last_sequence: int
    first_ms: int | None
    last_ms: int | None
    bytes: int
    state: SegmentState
    lost: int
    damage: tuple[DamagedPlace, ...]


def shards(settings: Settings, serving: Sequence[str | None]) -> list[ShardSummary]:
    """Every shard. `serving`: the shard of each worker, by its place; None where it has none yet. Raises OSError."""
    return [_shard(settings, folder, serving) for folder in logs_at(Files(), settings.log.dir)]


def segments(folder: LogFolder, names: Sequence[SegmentName], *, is_held: bool) -> list[SegmentSummary]:
    """Some segments of a shard, newest first. Raises WalError, OSError."""
    places = [cursor.acked for name in folder.consumers() if (cursor := folder.cursor(name))]
    damages = damage_by_segment(read_ledger(folder).entries, folder.segments())
    found = []
    for name in names:
        state = _segment_state(folder, name, min(places, default=None), is_held=is_held)
        found.append(_segment(folder, name, state, damages.get(name.number, [])))
    return found


def damage_by_segment(entries: Sequence[Damage], names: Sequence[SegmentName]) -> dict[int, list[Damage]]:
    """Damage by the segment that shows it: that of a missing segment is shown by the next one that is there."""
    found: dict[int, list[Damage]] = {}
    for entry in entries:
        here = [name.number for name in names if name.number >= entry.start.segment]
        if here and (entry.kind is Kind.MISSING or here[0] == entry.start.segment):
            found.setdefault(here[0], []).append(entry)
    return found


def _shard(settings: Settings, folder: LogFolder, serving: Sequence[str | None]) -> ShardSummary:
    name = os.path.basename(folder.path)
    worker = serving.index(name) if name in serving else None
    try:
        names, end = folder.segments(), end_of_log(folder)
        following = end[0].sequence if end else None
        return ShardSummary(
            name,
            folder.path,
            worker,
            folder.log_id.decode(),
            sum(os.path.getsize(folder.segment_file(segment)) for segment in names),
            len(names),
            following,
            sum(damage.lost for damage in read_ledger(folder).entries),
            cursors=tuple(
                _cursor(settings, folder, consumer, following, is_held=is_held(folder, serving))
                for consumer in folder.consumers()
            ),
        )
    except (WalError, OSError) as error:  # an OSError too: a segment may be dropped in between
        return ShardSummary(name, folder.path, worker, error=str(error))


def _cursor(settings: Settings, folder: LogFolder, name: str, end: int | None, *, is_held: bool) -> ShardCursor:
    try:
        cursor = folder.cursor(name)
    except (WalError, OSError):
        return ShardCursor(name, None, None, _UNREADABLE)
    state = state_of(settings, folder, name, held=is_held).state
    if cursor is None or end is None:
        return ShardCursor(name, None, None, state)
    return ShardCursor(name, cursor.settled, max(end - cursor.settled, 0), state)


def _segment_state(folder: LogFolder, name: SegmentName, slowest: Position | None, *, is_held: bool) -> SegmentState:
    after = _next_segment(folder, name)
    if after is None and is_held:
        return "open"
    if slowest is None:
        return "kept"
    end = after.start if after else (end_of_log(folder) or (None,))[0]
    return "delivered" if end and slowest.sequence >= end.sequence else "waits"


def _next_segment(folder: LogFolder, name: SegmentName) -> SegmentName | None:
    return next((later for earlier, later in pairwise(folder.segments()) if earlier == name), None)


def _segment(folder: LogFolder, name: SegmentName, state: SegmentState, damages: list[Damage]) -> SegmentSummary:
    after = _next_segment(folder, name)
    if after:
        last_sequence, last_ms = after.sequence - 1, opened_ms(folder, after)
    else:
        end = end_of_log(folder)
        last_sequence, last_ms = (end[0].sequence - 1, end[1]) if end else (name.sequence - 1, None)
    return SegmentSummary(
        name.number,
        str(name),
        name.sequence,
        last_sequence,
        opened_ms(folder, name),
        last_ms,
        os.path.getsize(folder.segment_file(name)),
        state,
        sum(damage.lost for damage in damages),
        tuple(
            DamagedPlace(damage.start.offset, damage.start.sequence, damage.end.sequence - 1, str(damage))
            for damage in damages
        ),
    )
