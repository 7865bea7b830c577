"""Opening a worker's shard, which a full disk or a want of file descriptors may refuse for a while."""

import contextlib
import os
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from msgspec import Struct

from collector.dead_letters.budget import HourlyBudget
from collector.dead_letters.of_sinks import SinkDeadLetters
from collector.dead_letters.writer import DeadLetters
from collector.dedup.index import DedupIndex, open_index
from collector.ops.counters import CounterBlock
from collector.ops.notices import Notices
from collector.process_log.of_shards import LogAvailable, LogDelayed
from collector.settings import Settings
from collector.settings.secret import load_secret
from collector.shards.event_ids import complete
from collector.shards.shard import Shard, drop_delivered, drop_from_free_shards, first_free, open_log
from wal.committer import Committer
from wal.errors import NO_ROOM, PASSING, WalError, explain
from wal.log import Log

T = TypeVar("T")


class Opened(Struct, frozen=True):
    """The parts that a worker serves with."""

    secret: bytes
    shard: Shard
    dead_letters: DeadLetters
    dead_committer: Committer
    sink_dead_letters: SinkDeadLetters
    index: DedupIndex
    """The index of event ids, which knows all that the logs of the node hold."""


class OpenFiles(NamedTuple):
    """The files that are open before the event loop takes them into use."""

    log: Log
    dead_log: Log
    ids: DedupIndex


class Opening:
    """Opens the parts that a worker serves with, step by step: `open_files`, then `build`, each until it succeeds.

    A part that an attempt has opened is kept for the next one, since opening a log anew adds a segment to it.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Callable[[], int],
        notices: Notices,
        counters: CounterBlock,
        end_worker: Callable[[Exception], None],
    ) -> None:
        """`clock` gives Unix ms; `end_worker` is called when only a restart helps."""
        self._settings = settings
        self._clock = clock
        self._notices = notices
        self._counters = counters
        self._end_worker = end_worker
        self._secret = b""
        self._name = ""
        self._log: Log | None = None
        self._dead_log: Log | None = None
        self._dead_committer: Committer | None = None
        self._index: DedupIndex | None = None
        self._is_delayed = False

    def open_files(self) -> OpenFiles | None:
        """The logs of the shard and the index of event ids; None where another attempt may succeed.

        Blocks; for any thread. Raises WalError, OSError, BadSettings where only a person can help.
        """
        return self._attempt(self._open_files)

    def build(self, files: OpenFiles) -> Opened | None:
        """Take open files into use; None where another attempt may succeed. For the event loop that will use them.

        Raises WalError, OSError, BadSettings where only a person can help.
        """
        log, dead_log, index = files
        if self._dead_committer is None:
            self._dead_committer = Committer(dead_log)
        settings = self._settings
        budget = HourlyBudget(settings.dead_letters.bytes_per_hour, len(settings.property), self._clock)
        dead_letters = DeadLetters(self._dead_committer, budget, self._notices, self._counters)
        sink_dead_letters = SinkDeadLetters(dead_letters, self._settings.dead_letters.dir)
        shard = self._attempt(lambda: Shard(self._settings, log, sink_dead_letters, self._end_worker))
        if shard is None:
            return None
        if self._is_delayed:
            LogAvailable(log.folder.path).write()
        return Opened(self._secret, shard, dead_letters, self._dead_committer, sink_dead_letters, index)

    async def close(self) -> None:
        """Close the parts that were opened and not taken into use."""
        with contextlib.suppress(WalError):
            if self._dead_committer:
                await self._dead_committer.close()
        for log in (self._log, self._dead_log):
            with contextlib.suppress(WalError):
                if log:
                    log.close()
        if self._index:
            self._index.close()

    def _open_files(self) -> OpenFiles:
        self._secret = self._secret or load_secret(self._settings)
        if self._log is None:
            self._name, self._log = first_free(self._settings)
        if self._dead_log is None:
            self._dead_log = open_log(self._settings, os.path.join(self._settings.dead_letters.dir, self._name))
        if self._index is None:
            self._index = self._complete_index(self._log)
        return OpenFiles(self._log, self._dead_log, self._index)

    def _complete_index(self, log: Log) -> DedupIndex:
        """The index, once it knows all ids that the logs hold: one that does not would take a duplicate for new."""
        index = open_index(self._settings.dedup)
        try:
            index.begin(log.log_id, log.end.sequence)
            complete(index, self._settings, self._clock())
        except BaseException:
            index.close()
            raise
        return index

    def _attempt(self, step: Callable[[], T]) -> T | None:
        try:
            return step()
        except OSError as error:
            if error.errno not in PASSING:
                raise
            self._report(explain(error, self._settings.log.dir))
            if error.errno in NO_ROOM:
                self._make_room()
        return None

    def _make_room(self) -> None:
        """Have delivered segments go, also those of the log that is open already."""
        drop_from_free_shards(self._settings)
        if self._log:
            drop_delivered(self._settings, self._log.folder)

    def _report(self, reason: str) -> None:
        if not self._is_delayed:
            LogDelayed(reason).write()
        self._is_delayed = True
