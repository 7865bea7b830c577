"""A shard: one writer's log, with a shipper for each sink. A worker takes one, and may adopt others."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from collector.acknowledgements import Acknowledgements
from collector.process_log.event import ProcessLogEvent
from collector.process_log.of_shards import CloseFailed, DropFailed, EvictionFailed, ShardCopied, SinksBehind
from collector.settings import Settings
from collector.settings.sinks import SinkSettings
from collector.shards.copies import copies_in
from collector.shards.findings import write_findings
from collector.ship.health import is_given_up
from collector.ship.shipper import DeadLetterWriter, Shipper
from collector.ship.sinks import sink_of
from collector.ship.supervise import supervised
from wal.committer import Committer
from wal.errors import LogLocked, WalError
from wal.files import Files, opened
from wal.folder import LogFolder
from wal.format import Position
from wal.log import Log, now_ms
from wal.page_cache import evict_from_page_cache
from wal.room import Shortage, shortage_of
from wal.sealed import drop_segments

_RETENTION_SECONDS: Final = 60
_ROOM_SECONDS: Final = 0.25
"""Interval at which the log tells whether the disk is short. It costs nothing: the log looks as often by itself."""
_EVICTION_SECONDS: Final = 0.25
"""Interval at which shipped bytes are evicted from the page cache."""


class Shard:
    """A log that this process has locked, and its way to the sinks. Create it inside the event loop."""

    def __init__(
        self,
        settings: Settings,
        log: Log,
        dead_letters: DeadLetterWriter,
        end_worker: Callable[[Exception], None] | None = None,
    ) -> None:
        """`end_worker` is called when only a restart helps. Raises WalError, OSError, BadSettings."""
        ensure_cursors(settings, log)
        self.committer = Committer(log, stall_seconds=settings.log.stall_seconds, on_poisoned=end_worker)
        self._end_worker = end_worker
        self._settings = settings
        self._log = log
        self._shippers = [_shipper(sink, self.committer, dead_letters) for sink in settings.sink]
        self._tasks: list[asyncio.Task[None]] = []
        self._tidying: list[asyncio.Task[None]] = []

    def acknowledgements(self) -> dict[str, Acknowledgements]:
        """The acknowledgements of each sink, by name."""
        return {shipper.name: shipper.confirmed for shipper in self._shippers}

    def start(self) -> None:
        """Begin to ship, and to let go of what is delivered: at once in memory, by age and size on the disk."""
        self._tasks = [asyncio.create_task(supervised(shipper, self._end_worker)) for shipper in self._shippers]
        self._tidying = [asyncio.create_task(self._drop_forever()), asyncio.create_task(self._evict_forever())]

    async def ship_out(self) -> frozenset[str]:
        """Ship all that the sinks take, and let go of the shard; returns the names of the sinks that are not up.

        A sink that is not up is waited for while another one makes headway. It is left between two attempts, never
        within one: a thread that goes on after the lock is free would move the sink under the next holder.
        """
        await self.close(None, gives_up=self._is_given_up)
        return frozenset(shipper.name for shipper in self._shippers if shipper.health.state != "up")

    async def close(self, grace_seconds: float | None, gives_up: Callable[[], bool] = lambda: False) -> None:
        """Commit all appends, ship as much as fits into the time (None: all), and let go of the shard.

        `gives_up` is called after each failure of a sink: whether to leave that sink behind.
        """
        try:
            with _warned(CloseFailed):
                await self.committer.close()
            for shipper in self._shippers:
                shipper.drain(gives_up)
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=grace_seconds)
        finally:
            late = [task for task in self._tasks if not task.done()]
            if late:
                path = self._log.folder.path
                SinksBehind(path, len(late)).write()
            for task in (*late, *self._tidying):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            self._log.close()

    def _is_given_up(self) -> bool:
        """Whether every sink that is behind has been given up."""
        now = now_ms()
        behind = [shipper for shipper, task in zip(self._shippers, self._tasks, strict=True) if not task.done()]
        return all(is_given_up(shipper.health, now) for shipper in behind)

    async def _drop_forever(self) -> None:
        """Let delivered segments go: by age and size once a minute, and at once while the disk is short."""
        log, loop = self._log, asyncio.get_running_loop()
        due = loop.time() + _RETENTION_SECONDS
        while True:
            await asyncio.sleep(_ROOM_SECONDS)
            if log.room.is_short or loop.time() >= due:
                due = loop.time() + _RETENTION_SECONDS
                await asyncio.to_thread(drop_delivered, self._settings, log.folder, log.room.shortage)

    async def _evict_forever(self) -> None:
        log, left = self._log, Position(0, 0, 0)
        while True:
            await asyncio.sleep(_EVICTION_SECONDS)
            passed = min([shipper.passed or left for shipper in self._shippers], default=left)
            if passed > left:
                with _warned(partial(EvictionFailed, log.folder.path)):
                    await asyncio.to_thread(evict_from_page_cache, log.folder, left, passed)
                left = passed


def first_free(settings: Settings) -> tuple[str, Log]:
    """The name and the log, recovered and open, of the first shard that nobody holds and of which none is a copy.

    Raises WalError, OSError.
    """
    files, directory = Files(), settings.log.dir
    copies = copies_in(files, [os.path.join(directory, name) for name in files.names(directory) if name.isdecimal()])
    number = -1
    while True:
        number += 1
        name = f"{number:02d}"
        path = os.path.join(directory, name)
        if other := copies.get(path):
            if not LogFolder(files, path).is_locked():
                ShardCopied(path, other).write()
            continue
        with contextlib.suppress(LogLocked):
            return name, open_log(settings, path)


def open_log(settings: Settings, directory: str) -> Log:
    """Lock, recover and open one log, and say what recovery found. Raises WalError, OSError."""
    log = Log(
        directory,
        segment_bytes=settings.log.segment_bytes,
        segment_seconds=settings.log.segment_seconds,
        warn_free_bytes=settings.log.warn_free_bytes,
        min_free_bytes=settings.log.min_free_bytes,
    )
    write_findings(log)
    return log


def ensure_cursors(settings: Settings, log: Log) -> None:
    """Give every sink its cursor on a log. Raises OSError.

    Before the first event comes: a sink that skips to the newest must not skip what was answered 200 since.
    """
    for sink in settings.sink:
        first = log.folder.oldest() if sink.start == "oldest" else None
        log.folder.ensure_cursor(sink.name, first or log.end)


def drop_delivered(
    settings: Settings,
    folder: LogFolder,
    shortage: Callable[[], Shortage] | None = None,
) -> None:
    """Drop the segments of a shard that every sink has and that need not be kept, or that a short disk needs more.

    `shortage` tells how much it needs; without it the disk's own numbers do.
    """
    with _warned(partial(DropFailed, folder.path)):
        drop_segments(
            folder,
            expected=[sink.name for sink in settings.sink],
            keep_ms=int(settings.log.retain_hours * 3_600_000),
            keep_bytes=settings.log.retain_bytes,
            shortage=shortage() if shortage else shortage_of(folder.room(), settings.log.min_free_bytes),
        )


def drop_from_free_shards(settings: Settings) -> None:
    """Drop what a short disk needs from the shards that nobody holds, so that one of them can be opened."""
    files = Files()
    for name in files.names(settings.log.dir):
        folder = LogFolder(files, os.path.join(settings.log.dir, name))
        with _warned(partial(DropFailed, folder.path)), contextlib.suppress(FileNotFoundError, LogLocked):
            if not folder.is_log():
                continue  # to lock it would create a file there
            with opened(files, folder.lock()):
                drop_delivered(settings, folder)


async def drop_dead_letters_forever(settings: Settings, committer: Committer) -> None:
    """Drop dead letters over the age or the bytes that are kept. No cursor counts: they have no consumer."""
    while True:
        await asyncio.sleep(_RETENTION_SECONDS)
        log = committer.log
        with _warned(partial(DropFailed, log.folder.path)):
            await asyncio.to_thread(
                drop_segments,
                log.folder,
                expected=(),
                keep_ms=int(settings.dead_letters.retain_hours * 3_600_000),
                keep_bytes=settings.dead_letters.retain_bytes,
                passed=committer.durable,
            )


def _shipper(settings: SinkSettings, committer: Committer, dead_letters: DeadLetterWriter) -> Shipper:
    return Shipper(
        settings.name,
        sink_of(settings, settings.name),
        committer,
        dead_letters,
        flush_bytes=settings.flush_bytes,
        flush_seconds=settings.flush_seconds,
    )


@contextlib.contextmanager
def _warned(event: Callable[[str], ProcessLogEvent]) -> Iterator[None]:
    try:
        yield
    except (WalError, OSError) as error:
        event(str(error)).write()
