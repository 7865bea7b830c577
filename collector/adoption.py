"""Orphans: shards that no worker holds any more, as when there are fewer workers than yesterday. One drains them."""

import asyncio
import logging
import os
from typing import Final

from collector import config
from collector.shard import Shard, drop, open_log
from collector.ship.shipper import Graveyard
from wal.cursor import load_cursor
from wal.damage import Damage
from wal.errors import LogLocked, WalError
from wal.files import Files
from wal.format import Position
from wal.identity import FILE_NAME, read_log_id
from wal.reader import Reader, oldest, read_all

_LOOK_SECONDS: Final = 5.0

logger = logging.getLogger(__name__)


async def adopt_orphans(settings: config.Settings, graveyard: Graveyard, look_seconds: float = _LOOK_SECONDS) -> None:
    """Look for orphans until cancelled. One that waits for its own worker to restart is left alone: it must have been
    free the time before too. So is one with a sink that stopped: each adoption would only add a segment to it."""
    free_before: set[str] = set()
    stopped: set[str] = set()
    while True:
        await asyncio.sleep(look_seconds)
        free = await asyncio.to_thread(orphans, settings)
        stopped &= free
        for directory in sorted(free & free_before - stopped):
            if await _drain(settings, directory, graveyard):
                stopped.add(directory)  # unless it is no orphan any more at the next look
        free_before = free


async def _drain(settings: config.Settings, directory: str, graveyard: Graveyard) -> bool:
    """Ship a shard as far as its sinks go; False where it can't be opened."""
    try:
        shard = _opened(settings, directory, graveyard)
    except LogLocked:
        return False
    except (WalError, OSError) as error:
        logger.critical("an orphaned shard can't be shipped: %s", error)
        return False
    logger.info("%s: adopted, its worker is gone", directory)
    shard.start()
    await shard.close(grace_seconds=None)
    return True


def _opened(settings: config.Settings, directory: str, graveyard: Graveyard) -> Shard:
    log = open_log(settings, directory)
    try:
        return Shard(settings, log, graveyard)
    except BaseException:
        log.close()  # another worker may have more luck with it
        raise


def orphans(settings: config.Settings) -> set[str]:
    """The shards that nobody holds and that some sink has not all of; drops old segments of free shards on the way.

    Those that can't be looked at are none, until the next look.
    """
    files = Files()
    try:
        paths = [os.path.join(settings.log.dir, name) for name in files.names(settings.log.dir)]
    except OSError as error:
        logger.warning("no shard is looked at: %s", error)
        return set()
    return {path for path in paths if _is_orphan(settings, files, path)}


def _is_orphan(settings: config.Settings, files: Files, directory: str) -> bool:
    try:
        if FILE_NAME not in files.names(directory):
            return False
        lock = files.lock(os.path.join(directory, "LOCK"))
    except LogLocked:
        return False
    except OSError as error:
        logger.warning("%s: this shard can't be looked at: %s", directory, error)
        return False
    try:
        log_id = read_log_id(files, directory)
        drop(settings, files, directory, log_id)
        return any(_is_behind(files, directory, log_id, sink.name) for sink in settings.sink)
    except (WalError, OSError) as error:
        logger.warning("%s: nobody holds this shard, and it can't be read: %s", directory, error)
        return False
    finally:
        files.close(lock)


def _is_behind(files: Files, directory: str, log_id: bytes, consumer: str) -> bool:
    """Whether there is an event that the consumer does not have for sure."""
    cursor = load_cursor(files, directory, log_id, consumer)
    if cursor and cursor.intent:
        return True
    start: Position | None = cursor.acked if cursor else oldest(files, directory)
    if start is None:
        return False
    reader = Reader(files, directory, log_id, start)
    try:
        return any(isinstance(step, Damage) or step.header.records for step in read_all(reader))
    finally:
        reader.close()
