"""Orphans: shards that no worker holds any more, as when there are fewer workers than yesterday. One drains them.

All orphans are drained at the same time, so that a sink that is down for one does not hold up the others. A shard is
released when every sink that lags is down, so that another process can open it, and adopted again later.
"""

import asyncio
import os
from collections.abc import Mapping
from typing import Final, NamedTuple

from collector.dedup.index import DedupIndex
from collector.errors import BadSettings
from collector.process_log.of_shards import (
    ShardAdopted,
    ShardCopied,
    ShardReleased,
    ShardStuck,
    ShardsUnlisted,
    ShardUnlocked,
    ShardUnreadable,
)
from collector.settings import Settings
from collector.shards.copies import copies_in
from collector.shards.shard import Shard, drop_delivered, open_log
from collector.ship.shipper import DeadLetterWriter
from wal.damage import Damage
from wal.errors import LogLocked, WalError
from wal.files import Files
from wal.folder import IDENTITY, LogFolder
from wal.format import Position
from wal.reader import read_from

_LOOK_SECONDS: Final = 5.0
_SHORTEST_REST_SECONDS: Final = 60.0
_LONGEST_REST_SECONDS: Final = 600.0
"""Each adoption adds a segment to the log: at this pace 144 a day while a sink is down."""


class Rest(NamedTuple):
    """A pause between two adoptions of a shard: these sinks were not up at the last one."""

    sinks: frozenset[str]
    seconds: float
    until: float

    def holds(self, behind: frozenset[str], now: float) -> bool:
        """Whether to leave the shard alone. A sink that was up and is behind now ends the pause: there are events."""
        return now < self.until and behind <= self.sinks


def rest_after(sinks: frozenset[str], before: Rest | None, now: float) -> Rest | None:
    """The pause after an adoption that left these sinks behind, twice as long as the last one; None if it left none."""
    if not sinks:
        return None
    seconds = min(2 * before.seconds, _LONGEST_REST_SECONDS) if before else _SHORTEST_REST_SECONDS
    return Rest(sinks, seconds, now + seconds)


async def adopt_orphans(
    settings: Settings, dead_letters: DeadLetterWriter, index: DedupIndex, look_seconds: float = _LOOK_SECONDS
) -> None:
    """Look for orphans and drain them until cancelled; then every adopted shard is closed before this ends.

    `index` learns of their logs, since their worker can't settle its last events.

    A shard is adopted if it was free at two looks in a row: one look may meet a worker that is being restarted.
    """
    free_before: Mapping[str, frozenset[str]] = {}
    rests: dict[str, Rest | None] = {}
    async with asyncio.TaskGroup() as drains:
        while True:
            await asyncio.sleep(look_seconds)
            free = await asyncio.to_thread(orphans, settings)
            for directory in sorted(free.keys() & free_before.keys()):
                rest = rests.get(directory)
                if rest is None or not rest.holds(free[directory], _now()):
                    drains.create_task(_drain(settings, directory, free[directory], dead_letters, index, rests))
            free_before = free


async def _drain(
    settings: Settings,
    directory: str,
    behind: frozenset[str],
    dead_letters: DeadLetterWriter,
    index: DedupIndex,
    rests: dict[str, Rest | None],
) -> None:
    """Ship a shard as far as its sinks take it, and note when to try again."""
    try:
        left = await _shipped_out(settings, directory, dead_letters, index)
    except LogLocked:
        return
    except (WalError, OSError, BadSettings) as error:
        ShardStuck(str(error)).write()
        left = behind
    rest = rests[directory] = rest_after(left, rests.get(directory), _now())
    if rest:
        ShardReleased(directory, tuple(sorted(left)), rest.seconds).write()


async def _shipped_out(
    settings: Settings, directory: str, dead_letters: DeadLetterWriter, index: DedupIndex
) -> frozenset[str]:
    shard = _opened(settings, directory, dead_letters)
    index.settle(shard.committer.log.log_id, shard.committer.next_sequence)
    ShardAdopted(directory).write()
    shard.start()
    return await shard.ship_out()


def _now() -> float:
    return asyncio.get_running_loop().time()


def _opened(settings: Settings, directory: str, dead_letters: DeadLetterWriter) -> Shard:
    log = open_log(settings, directory)
    try:
        return Shard(settings, log, dead_letters)
    except BaseException:
        log.close()  # another worker may have more luck with it
        raise


def orphans(settings: Settings) -> dict[str, frozenset[str]]:
    """The shards that nobody holds, each with the sinks that are behind there, if any; drops their old segments too.

    A shard that can't be read is left out until the next look, and so is a copy.
    """
    files = Files()
    try:
        paths = [os.path.join(settings.log.dir, name) for name in files.names(settings.log.dir)]
        copies = copies_in(files, paths)
    except OSError as error:
        ShardsUnlisted(str(error)).write()
        return {}
    return {path: behind for path in paths if (behind := _sinks_behind(settings, LogFolder(files, path), copies))}


def _sinks_behind(settings: Settings, folder: LogFolder, copies: Mapping[str, str]) -> frozenset[str]:
    """The sinks that have not all of a shard; none if it is held, a copy, or can't be looked at."""
    nothing = frozenset[str]()
    try:
        if IDENTITY not in folder.files.names(folder.path):
            return nothing
        lock = folder.lock()
    except (LogLocked, NotADirectoryError):  # the control socket stands among the shards
        return nothing
    except OSError as error:
        ShardUnlocked(folder.path, str(error)).write()
        return nothing
    try:
        if folder.path in copies:
            ShardCopied(folder.path, copies[folder.path]).write()
            return nothing
        drop_delivered(settings, folder)
        return frozenset(sink.name for sink in settings.sink if _is_behind(folder, sink.name))
    except (WalError, OSError) as error:
        ShardUnreadable(folder.path, str(error)).write()
        return nothing
    finally:
        folder.files.close(lock)


def _is_behind(folder: LogFolder, consumer: str) -> bool:
    """Whether there is an event that the consumer does not have for sure."""
    cursor = folder.cursor(consumer)
    if cursor and cursor.intent:
        return True
    start: Position | None = cursor.acked if cursor else folder.oldest()
    if start is None:
        return False
    return any(isinstance(step, Damage) or step.header.records for step in read_from(folder, start))
