"""The batches of a log for one sink: of its durable blocks, and once more that of an intent.

After any error the same call may be made again: it reads from its place anew, and skips nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Final

from collector.process_log.of_shards import DamageFound
from collector.process_log.of_sinks import EventsGone
from collector.ship.batch import Batch, BatchBuilder
from collector.ship.mark import Mark
from wal import damage
from wal.committer import Committer
from wal.cursor import Intent
from wal.damage import Damage
from wal.errors import Broken, MissingSegment
from wal.format import Position
from wal.reader import Reader, block_of, place_of, read_all

_LINGER_SECONDS: Final = 0.25
"""How often a batch that is not due yet takes up what was committed meanwhile."""
_BYTES_A_TURN: Final = 1 << 20
_BLOCKS_A_TURN: Final = 64
"""Blocks that are read before other coroutines get their turn."""
_WRONG_LOG: Final = (
    "this log is not the one that was delivered: was it restored from a backup, or copied? Set its folder aside, and "
    "the next start begins a new log; or, if what was delivered is not to be kept, move the mark away: {where}"
)


class Source:
    """Follows one log for one sink."""

    def __init__(
        self,
        committer: Committer,
        sink: str,
        *,
        flush_bytes: int,
        flush_seconds: float,
        before_pause: Callable[[], Awaitable[None]],
    ) -> None:
        """`sink` is named by tokens. A batch is cut at `flush_bytes`, or when its oldest event waits `flush_seconds`.

        `before_pause` is awaited where nothing is to be done for a while.
        """
        self._committer = committer
        self._log = committer.log
        self._sink = sink
        self._flush_bytes = flush_bytes
        self._flush_seconds = flush_seconds
        self._before_pause = before_pause
        self._draining = asyncio.Event()
        self._reader: Reader | None = None
        self._place: Position | None = None
        """The place after the batch that the reader gave last."""

    def drain(self) -> None:
        """Cut batches at once from now on. Call it when the committer is closed."""
        self._draining.set()

    async def drained(self) -> None:
        """Return once `drain` was called."""
        await self._draining.wait()

    async def next(self, place: Position) -> tuple[Batch, Intent] | None:
        """The next batch from `place` on, and the intent that is to be durable before it; None when drained.

        Raises OSError, Unreadable, and Broken where the log is not whole.
        """
        if self._reader is None or place != self._place:
            self.close()
            self._reader = Reader(self._log.folder, place)
        try:
            found = await self._cut(self._reader)
        except BaseException:
            self.close()  # the reader is past blocks that no batch holds
            raise
        self._place = found[1].last if found else place
        return found

    def close(self) -> None:
        """Let go of the segment that is open for `next`."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    async def again(self, intent: Intent) -> Batch | None:
        """The batch of an intent, from the log; None if damage has taken all of it since.

        Where damage has taken a part, the rest goes under the same token: a sink that has the batch already has all.
        Raises Broken where the log is not damaged, and yet not the one that the intent was cut from.
        """
        cut, is_damaged = BatchBuilder(self._log.log_id, self._sink), False
        with closing(Reader(self._log.folder, intent.first)) as reader:
            for step in read_all(reader, intent.last):
                if isinstance(step, Damage):
                    is_damaged = True
                    await self._record_damage(step)
                elif step.header.records:
                    cut.add(step)
        batch, found = cut.batch() or (None, None)
        if found != intent._replace(next=0, size=0) and not is_damaged:
            raise Broken(self._log.folder.path, intent.first.offset, f"the batch {intent.token}", "other bytes")
        return batch and batch._replace(token=intent.token)

    def place_of(self, sequence: int) -> Position:
        """The place of the block with the event of this sequence, or of the oldest after it. Call `check` first."""
        log = self._log
        place = place_of(log.folder, sequence, self._committer.durable)
        if place.sequence > sequence:
            EventsGone(log.folder.path, sequence, place.sequence - 1).write()
        return place

    def check(self, mark: Mark) -> None:
        """Raise Broken unless the log holds the events before the sink's mark, as far as that can be checked.

        It can't where the sink knows no chain, and where the block is damaged, or dropped because all sinks had it.
        """
        log, end = self._log, self._committer.durable
        advice = _WRONG_LOG.format(where=mark.where)
        if mark.next > end.sequence:
            expected = f"what the sink has, the events before {mark.next}"
            raise Broken(log.folder.path, end.offset, expected, f"none from {end.sequence} on; {advice}")
        if not mark.chain:
            return
        try:
            block = block_of(log.folder, mark.next - 1, end)
        except MissingSegment:  # it was dropped meanwhile; a reader meets a later gap
            return
        if block and f"{block.header.header_crc:08x}" != mark.chain:
            expected = f"event {mark.next - 1} in a block with the CRC {mark.chain}, which the sink has"
            found = f"the CRC {block.header.header_crc:08x}; {advice}"
            raise Broken(log.folder.path, block.header.offset, expected, found)

    async def _cut(self, reader: Reader) -> tuple[Batch, Intent] | None:
        cut, turn_ends, due = BatchBuilder(self._log.log_id, self._sink), 0, float("inf")
        while cut.length < self._flush_bytes:
            block = reader.next(self._committer.durable)
            if isinstance(block, Damage):
                await self._record_damage(block)
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

    async def _wait(self, place: Position, seconds: float | None) -> None:
        """Return once there may be more after `place`; with `seconds`, when a batch has lingered a while."""
        if seconds is None or seconds > _LINGER_SECONDS:
            await self._before_pause()
        if seconds is None:
            await _first_of(None, self._draining.wait(), self._committer.wait_beyond(place))
        else:
            await _first_of(min(seconds, _LINGER_SECONDS), self._draining.wait())

    async def _record_damage(self, found: Damage) -> None:
        log = self._log
        DamageFound(log.folder.path, str(found)).write()
        await asyncio.to_thread(damage.append, log.folder, found)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


async def _first_of(seconds: float | None, *until: Awaitable[object]) -> None:
    """Return when one of these is done, or the time is up."""
    tasks = [asyncio.ensure_future(awaitable) for awaitable in until]
    try:
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
