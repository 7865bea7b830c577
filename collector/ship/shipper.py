"""The shipper: follows one shard's log for one sink, and holds the one retry loop there is.

Order of durable steps: log fsync, intent fsync, send, sink confirms, cursor fsync. After a crash the intent is
delivered first, the same bytes under the same token.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from collector.errors import SinkError
from collector.ship.batch import Batch, cut
from collector.ship.sinks import Sink
from wal.committer import Committer
from wal.cursor import Cursor, Intent, load_cursor, save_cursor
from wal.damage import Damage, record
from wal.errors import Broken
from wal.format import Position
from wal.reader import Reader, oldest, read_all
from wal.segment import Block

_LINGER_SECONDS: Final = 0.25
"""How often a batch that is not due yet takes up what was committed meanwhile."""
_BLOCKS_A_TURN: Final = 64
"""Blocks read before other coroutines get their turn."""
_FIRST_RETRY_SECONDS: Final = 0.1
_LAST_RETRY_SECONDS: Final = 30.0

logger = logging.getLogger(__name__)


class Shipper:
    """One sink's way through one log. `run` ends only after `drain`, once all that is durable is delivered."""

    def __init__(self, name: str, sink: Sink, committer: Committer, *, flush_bytes: int, flush_seconds: float) -> None:
        """`name` names the cursor. A batch is cut at `flush_bytes`, or when its oldest event waits `flush_seconds`."""
        self.name = name
        self._sink = sink
        self._committer = committer
        self._log = committer.log
        self._flush_bytes = flush_bytes
        self._flush_seconds = flush_seconds
        self._draining = asyncio.Event()

    def drain(self) -> None:
        """Cut batches at once from now on. Call it when the committer is closed."""
        self._draining.set()

    async def run(self) -> None:
        """Deliver until drained. Raises Corrupt and Unreadable where the log or the cursor can't be read."""
        await self._retried(self._open)
        try:
            cursor = self._load()
            if intent := cursor.intent:
                cursor = await self._deliver(cursor.acked, await self._again(intent), intent)
            reader = self._reader(cursor.acked)
            try:
                while blocks := await self._next_blocks(reader):
                    batch, intent = cut(self._log.log_id, blocks)
                    cursor = await self._deliver(cursor.acked, batch, intent)
            finally:
                reader.close()
        finally:
            await self._sink.close()

    async def _open(self) -> None:
        await self._sink.open(self._log.log_id.decode(), self._log.end.sequence)

    async def _deliver(self, acked: Position, batch: Batch | None, intent: Intent) -> Cursor:
        await self._save(Cursor(acked, intent))
        if batch is not None:
            await self._retried(lambda: self._sink.deliver(batch))
        delivered = Cursor(intent.last)
        await self._save(delivered)
        return delivered

    async def _retried(self, attempt: Callable[[], Awaitable[None]]) -> None:
        wait = _FIRST_RETRY_SECONDS
        while True:
            try:
                return await attempt()
            except SinkError as error:
                pause = wait * random.uniform(0.5, 1)  # noqa: S311 - jitter, no secret
                logger.warning("sink %s: %s; again in %.1f s", self.name, error, pause)
            await asyncio.sleep(pause)
            wait = min(wait * 2, _LAST_RETRY_SECONDS)

    async def _next_blocks(self, reader: Reader) -> list[Block]:
        """Whole blocks for the next batch; none when drained."""
        blocks: list[Block] = []
        length = 0
        due = float("inf")
        while length < self._flush_bytes:
            block = reader.next(self._committer.durable)
            if isinstance(block, Damage):
                await self._account(block)
            elif block is not None:
                if block.header.records:
                    blocks.append(block)
                    length += block.header.length
                    if len(blocks) == 1:
                        due = self._now() + self._flush_seconds
                    elif len(blocks) % _BLOCKS_A_TURN == 0:
                        await asyncio.sleep(0)
            elif self._draining.is_set() or self._now() >= due:
                break
            elif blocks:
                await self._pause(self._draining.wait(), seconds=min(due - self._now(), _LINGER_SECONDS))
            else:
                await self._pause(self._draining.wait(), self._committer.wait_beyond(reader.position), seconds=None)
        return blocks

    async def _pause(self, *until: Awaitable[object], seconds: float | None) -> None:
        """Return when one of these is done, or the time is up."""
        tasks = [asyncio.ensure_future(each) for each in until]
        try:
            await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    async def _again(self, intent: Intent) -> Batch | None:
        """The batch of an intent, from the log; None if damage has taken all of it since.

        Where damage has taken a part, the rest goes under the same token: a sink that has the batch already has all.
        Raises Broken where the log is not damaged, and yet not the one that the intent was cut from.
        """
        reader, is_damaged = self._reader(intent.first), False
        blocks = []
        try:
            for step in read_all(reader, intent.last):
                if isinstance(step, Damage):
                    is_damaged = True
                    await self._account(step)
                elif step.header.records:
                    blocks.append(step)
        finally:
            reader.close()
        batch, found = cut(self._log.log_id, blocks) if blocks else (None, None)
        if found != intent and not is_damaged:
            raise Broken(self._log.directory, intent.first.offset, f"the batch {intent.token}", "other bytes")
        return batch and batch._replace(token=intent.token)

    async def _account(self, damage: Damage) -> None:
        log = self._log
        logger.error("%s: %s; see damage.ndjson there", log.directory, damage)
        await self._durably(partial(record, log.files, log.directory, damage))

    def _load(self) -> Cursor:
        log = self._log
        cursor = load_cursor(log.files, log.directory, log.log_id, self.name)
        return cursor or Cursor(oldest(log.files, log.directory) or log.end)

    async def _save(self, cursor: Cursor) -> None:
        log = self._log
        await self._durably(partial(save_cursor, log.files, log.directory, log.log_id, self.name, cursor))

    async def _durably(self, write: Callable[[], None]) -> None:
        """Write to the log's directory; a full disk there is waited for like a sink that is away."""

        async def attempt() -> None:
            try:
                await asyncio.to_thread(write)
            except OSError as error:
                raise SinkError(f"{error.filename or self._log.directory}: {error.strerror}") from error

        await self._retried(attempt)

    def _reader(self, start: Position) -> Reader:
        return Reader(self._log.files, self._log.directory, self._log.log_id, start)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
