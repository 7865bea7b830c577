"""What one sink is to get of a log: batches of the blocks that are durable, and the batch of an intent once more."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from collector.ship.batch import Batch, Cut
from collector.ship.retry import durably
from wal.committer import Committer
from wal.cursor import Intent
from wal.damage import Damage, record
from wal.errors import Broken
from wal.format import Position
from wal.reader import Reader, place_of, read_all

_LINGER_SECONDS: Final = 0.25
"""How often a batch that is not due yet takes up what was committed meanwhile."""
_BYTES_A_TURN: Final = 1 << 20
_BLOCKS_A_TURN: Final = 64
"""What is read before other coroutines get their turn."""

logger = logging.getLogger(__name__)


class Source:
    """Follows one log for one sink."""

    def __init__(
        self,
        committer: Committer,
        *,
        flush_bytes: int,
        flush_seconds: float,
        before_pause: Callable[[], Awaitable[None]],
    ) -> None:
        """A batch is cut at `flush_bytes`, or when its oldest event waits `flush_seconds`.

        `before_pause` is awaited where nothing is to be done for a while.
        """
        self._committer = committer
        self._log = committer.log
        self._flush_bytes = flush_bytes
        self._flush_seconds = flush_seconds
        self._before_pause = before_pause
        self._draining = asyncio.Event()

    def drain(self) -> None:
        """Cut batches at once from now on. Call it when the committer is closed."""
        self._draining.set()

    def reader(self, place: Position) -> Reader:
        """A reader for `next`, to be closed by the caller."""
        return Reader(self._log.files, self._log.directory, self._log.log_id, place)

    async def next(self, reader: Reader) -> tuple[Batch, Intent] | None:
        """The next batch, and the intent that is to be durable before it; None when drained.

        Raises Broken and Unreadable where the log can't be read.
        """
        cut, turn_ends, due = Cut(self._log.log_id), 0, float("inf")
        while cut.length < self._flush_bytes:
            block = reader.next(self._committer.durable)
            if isinstance(block, Damage):
                await self._account(block)
            elif block is not None:
                if block.header.records:
                    due = due if cut.blocks else self._now() + self._flush_seconds
                    cut.add(block)
                if cut.length > turn_ends or cut.blocks % _BLOCKS_A_TURN == 0:
                    turn_ends = cut.length + _BYTES_A_TURN
                    await asyncio.sleep(0)
            elif self._draining.is_set() or self._now() >= due:
                break
            else:
                await self._wait(reader.position, due - self._now() if cut.blocks else None)
        return cut.batch()

    async def again(self, intent: Intent) -> Batch | None:
        """The batch of an intent, from the log; None if damage has taken all of it since.

        Where damage has taken a part, the rest goes under the same token: a sink that has the batch already has all.
        Raises Broken where the log is not damaged, and yet not the one that the intent was cut from.
        """
        reader, is_damaged = self.reader(intent.first), False
        cut = Cut(self._log.log_id)
        try:
            for step in read_all(reader, intent.last):
                if isinstance(step, Damage):
                    is_damaged = True
                    await self._account(step)
                elif step.header.records:
                    cut.add(step)
        finally:
            reader.close()
        batch, found = cut.batch() or (None, None)
        if found != intent._replace(next=0, size=0) and not is_damaged:
            raise Broken(self._log.directory, intent.first.offset, f"the batch {intent.token}", "other bytes")
        return batch and batch._replace(token=intent.token)

    def place_of(self, sequence: int) -> Position:
        """The place of the block with the event of this sequence, or of the oldest behind it.

        Raises Broken where the log does not go so far: its next events would have sequences that the sink has seen.
        """
        log, end = self._log, self._committer.durable
        if sequence > end.sequence:
            found = f"none from {end.sequence} on; was it restored from a backup? Set this log aside, a new one begins"
            raise Broken(log.directory, end.offset, f"what the sink has, the events before {sequence}", found)
        place = place_of(log.files, log.directory, log.log_id, sequence, end)
        if place.sequence > sequence:
            logger.error(
                "%s: a sink lacks the events from %d to %d, and they are gone here",
                log.directory,
                sequence,
                place.sequence - 1,
            )
        return place

    async def _wait(self, place: Position, seconds: float | None) -> None:
        """Return once there may be more behind `place`; with `seconds`, when a batch has lingered a while."""
        if seconds is None or seconds > _LINGER_SECONDS:
            await self._before_pause()
        if seconds is None:
            await _first_of(None, self._draining.wait(), self._committer.wait_beyond(place))
        else:
            await _first_of(min(seconds, _LINGER_SECONDS), self._draining.wait())

    async def _account(self, damage: Damage) -> None:
        log = self._log
        logger.error("%s: %s; see damage.ndjson there", log.directory, damage)
        await durably(log.directory, partial(record, log.files, log.directory, damage))

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


async def _first_of(seconds: float | None, *until: Awaitable[object]) -> None:
    """Return when one of these is done, or the time is up."""
    tasks = [asyncio.ensure_future(each) for each in until]
    try:
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
