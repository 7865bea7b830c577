"""A shard: one writer's log and dead letters, with a shipper for each sink. A worker holds one."""

import asyncio
import logging
import os
from collections.abc import Callable

from collector import config
from collector.dead_letters import DeadLetters
from collector.ship.shipper import Shipper
from collector.ship.sinks.file import FileSink
from wal.committer import Committer
from wal.errors import LogLocked, LogPoisoned, WalError
from wal.log import Log, now_ms
from wal.sealed import drop_segments

_RETENTION_SECONDS = 60

logger = logging.getLogger(__name__)


class Shard:
    """The first shard that no other process holds, recovered and open. Create it inside the event loop."""

    def __init__(self, settings: config.Settings, on_poisoned: Callable[[LogPoisoned], None]) -> None:
        """`on_poisoned` is called when only a restart helps. Raises WalError, OSError."""
        self._settings = settings
        number, log = _first_free(settings)
        dead_log = _open(settings, os.path.join(settings.dead_letters.dir, number))
        self.committer = Committer(log, on_poisoned=on_poisoned)
        self._dead_committer = Committer(dead_log)
        self.dead_letters = DeadLetters(self._dead_committer, settings.dead_letters.bytes_per_hour, now_ms)
        self._shippers = [_shipper(sink, self.committer) for sink in settings.sink]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to ship, and to drop what is delivered and need not be kept."""
        self._tasks = [asyncio.create_task(_reported(shipper)) for shipper in self._shippers]
        self._retention = asyncio.create_task(self._drop_forever())

    async def close(self) -> None:
        """Commit what waits, ship what can be shipped within the grace time, and let go of the shard."""
        for committer in (self.committer, self._dead_committer):
            try:
                await committer.close()
            except WalError as error:
                logger.warning("at the close of a log: %s", error)
        self._retention.cancel()
        for shipper in self._shippers:
            shipper.drain()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=self._settings.server.grace_seconds)
            if late:
                logger.warning("%d sinks are not up to date; the next start goes on where they are", len(late))
            for task in late:
                task.cancel()

    async def _drop_forever(self) -> None:
        settings, log = self._settings.log, self.committer.log
        while True:
            await asyncio.sleep(_RETENTION_SECONDS)
            try:
                await asyncio.to_thread(
                    drop_segments,
                    log.files,
                    log.directory,
                    log.log_id,
                    expected=[shipper.name for shipper in self._shippers],
                    keep_ms=int(settings.retain_hours * 3_600_000),
                    keep_bytes=settings.retain_bytes,
                )
            except (WalError, OSError) as error:
                logger.warning("no segment was dropped: %s", error)


def _first_free(settings: config.Settings) -> tuple[str, Log]:
    number = 0
    while True:
        name = f"{number:02d}"
        try:
            return name, _open(settings, os.path.join(settings.log.dir, name))
        except LogLocked:
            number += 1


def _open(settings: config.Settings, directory: str) -> Log:
    log = Log(
        directory,
        segment_bytes=settings.log.segment_bytes,
        segment_seconds=settings.log.segment_seconds,
    )
    if torn := log.torn:
        logger.warning(
            "%s: a crash left a torn write of %d bytes at byte %d, of which nobody was told that it is stored; "
            "it was cut off and is kept in %s",
            torn.path,
            torn.length,
            torn.offset,
            torn.kept_at,
        )
    return log


def _shipper(settings: config.FileSink, committer: Committer) -> Shipper:
    return Shipper(
        settings.name,
        FileSink(settings.dir),
        committer,
        flush_bytes=settings.flush_bytes,
        flush_seconds=settings.flush_seconds,
    )


async def _reported(shipper: Shipper) -> None:
    """Intake goes on without a sink, but not in silence."""
    try:
        await shipper.run()
    except WalError as error:
        logger.critical("sink %s stopped: %s", shipper.name, error)
    except Exception:
        logger.exception("sink %s stopped", shipper.name)
