"""Stores the logs of other nodes, each event once, whichever worker takes a batch.

The mark of a log (`marks.py`) records its progress. Before a batch is appended, the mark names it as a plan; after a
crash our own log shows whether the batch was written, because a batch is one block:

    mark {next}  →  mark {next, plan}  →  append (fsync)  →  mark {last + 1}

A log is bound to the key that relayed it first, so that no node can write another node's log. Another key is refused,
unless `collector relay forget` releases the log. When its key is removed from the settings, the log passes to the key
that relays it next: nobody can use a removed key, so it protects nothing, and a change of keys needs no step for each
log. This node's own logs can't be relayed to it.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from msgspec.structs import replace

from collector.errors import Forbidden, OtherLog, RelayBlocked
from collector.ops.counters import CounterBlock
from collector.ops.metric_table import RELAYED
from collector.relays.marks import FOLDER, Marks, Plan, RelayMark, key_name
from wal.committer import Committer
from wal.errors import Corrupt, LogLocked, WalError
from wal.files import Files, opened
from wal.folder import LogFolder
from wal.log import now_ms
from wal.reader import place_of, read_from
from wal.segment import Block


class RelayedLogs:
    """The logs of other nodes and their progress."""

    def __init__(
        self,
        directory: str,
        committer: Committer,
        key_digests: tuple[bytes, ...],
        counters: CounterBlock,
        *,
        clock: Callable[[], int] = now_ms,
        files: Files | None = None,
    ) -> None:
        """`directory` holds the shards, `key_digests` are the digests of all relay keys, `clock` gives Unix ms."""
        self._directory = directory
        self._committer = committer
        self._keys = frozenset(map(key_name, key_digests))
        self._counters = counters
        self._clock = clock
        self._files = files or Files()
        self._marks = Marks(directory, self._files)

    async def next(self, key_digest: bytes, log_id: str) -> tuple[int, str | None]:
        """The next sequence to send of a log, and the chain of the event before it, if known.

        The sequence is 0 for a log that has not been relayed. Raises Forbidden, Overloaded, OSError.
        """
        if not await asyncio.to_thread(self._is_known, log_id):
            return 0, None
        async with self._held(key_name(key_digest), log_id) as mark:
            return mark.next, mark.chain

    async def take(
        self, key_digest: bytes, log_id: str, records: list[tuple[int, bytes]], chain: str | None = None
    ) -> int:
        """Store the new ones of `records`, pairs of a sequence and a line; returns the next sequence to send.

        `chain` is the CRC of the header of the sender's block that holds the last record. Raises Forbidden, OtherLog,
        Overloaded, WalError, OSError. Do not cancel it: whether the batch was written would be unknown.
        """
        key = key_name(key_digest)
        if not await asyncio.to_thread(self._is_known, log_id):
            await self._marks.begin(log_id, key)
        async with self._held(key, log_id) as mark:
            if is_other_log(mark, records[-1][0], chain):
                raise OtherLog(
                    f"log {log_id} differs from the log relayed before under this id: it was restored or copied; set "
                    "it aside at the sender, so that a new log begins"
                )
            new = [(sequence, line) for sequence, line in records if sequence >= mark.next]
            if not new:
                return mark.next
            shard = os.path.basename(self._committer.log.folder.path)
            plan = Plan(shard, self._committer.durable.sequence, new[0][0], new[-1][0], chain)
            planned = replace(mark, key=key, last_ms=self._clock(), plan=plan)
            await self._marks.save(log_id, planned)
            await self._committer.append(b"".join([line for _, line in new]), len(new))
            self._counters.add(len(new), RELAYED.name)
            await self._marks.save(log_id, settled(planned, is_written=True))
            return plan.last + 1

    @asynccontextmanager
    async def _held(self, key: str, log_id: str) -> AsyncIterator[RelayMark]:
        """Lock a log that has a mark, for one request of all workers, and give its mark."""
        async with self._marks.held(log_id):
            yield await asyncio.to_thread(self._settled, key, log_id)

    def _is_known(self, log_id: str) -> bool:
        """Whether a log has been relayed before. Raises Forbidden for a log of this node."""
        for name in self._files.names(self._directory):
            with suppress(FileNotFoundError, NotADirectoryError, Corrupt):
                if LogFolder(self._files, os.path.join(self._directory, name)).log_id == log_id.encode():
                    raise Forbidden(f"log {log_id} is this node's own and can't be relayed to it; check the sink's URL")
        return self._marks.has(log_id)

    def _settled(self, key: str, log_id: str) -> RelayMark:
        """The mark of a log, after a plan left by a crash has been settled."""
        mark = self._marks.read(log_id)
        if not may_relay(mark, key, self._keys):
            raise Forbidden(
                f"log {log_id} is bound to another relay key: use that key, remove it from the receiver's settings, "
                "or run `collector relay forget` there"
            )
        return settled(mark, is_written=mark.plan is not None and self._is_written(log_id, mark.plan))

    def _is_written(self, log_id: str, plan: Plan) -> bool:
        """Whether the block of a plan is in its shard, by the id of its first record. Raises RelayBlocked, OSError."""
        folder = LogFolder(self._files, os.path.join(self._directory, plan.shard))
        start = folder.oldest()
        if start is None or start.sequence > plan.sequence:
            raise RelayBlocked(_unknown(log_id, plan, "its segment is gone"))
        lock = self._free(folder)
        try:
            return self._finds(folder, plan.sequence, b'{"id":"%b-%d"' % (log_id.encode(), plan.first))
        except WalError as error:
            raise RelayBlocked(_unknown(log_id, plan, str(error))) from None
        finally:
            if lock is not None:
                self._files.close(lock)

    def _free(self, folder: LogFolder) -> int | None:
        """Lock a shard whose writer is gone, and fsync its writes; None if the shard has a writer."""
        try:
            lock = folder.lock()
        except LogLocked:
            return None
        try:
            path = folder.segment_file(folder.segments()[-1])
            with opened(self._files, self._files.open(path, write=True)) as descriptor:
                self._files.sync_all(descriptor)
        except BaseException:
            self._files.close(lock)
            raise
        return lock

    def _finds(self, folder: LogFolder, sequence: int, start: bytes) -> bool:
        """Whether a shard has a line that begins with `start`, from `sequence` on."""
        steps = read_from(folder, place_of(folder, sequence))
        return any(_has_line(step, start) for step in steps if isinstance(step, Block))


def may_relay(mark: RelayMark, key: str, keys: frozenset[str]) -> bool:
    """Whether `key` may relay the log of a mark. `keys` are all relay keys in the settings."""
    return mark.key is None or mark.key == key or mark.key not in keys


def is_other_log(mark: RelayMark, last: int, chain: str | None) -> bool:
    """Whether a batch ends at the last stored event, and has another chain there: it comes from another log.

    A batch that ends earlier proves nothing: it may have been delayed on the way. A sender whose log ends before the
    mark learns that from `next`, before it sends anything.
    """
    return last == mark.next - 1 and None not in (mark.chain, chain) and mark.chain != chain


def settled(mark: RelayMark, *, is_written: bool) -> RelayMark:
    """The mark after its planned batch, if any, was written or not."""
    if mark.plan is None or not is_written:
        return replace(mark, plan=None)
    return replace(mark, next=mark.plan.last + 1, chain=mark.plan.chain, plan=None)


def _has_line(block: Block, start: bytes) -> bool:
    return block.payload.startswith(start) or b"\n" + start in block.payload


def _unknown(log_id: str, plan: Plan, cause: str) -> str:
    return (
        f"{FOLDER}/{log_id}.json: shard {plan.shard} can't tell whether events {plan.first} to {plan.last} are stored "
        f'({cause}): set `next` to {plan.last + 1} if they are, and remove "plan"'
    )
