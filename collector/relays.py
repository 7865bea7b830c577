"""Logs of other nodes that arrive here, each event once, whichever worker takes a batch.

How far a node is stands in `relays/<log_id>.json` beside the shards. Before a batch is appended the file says so: after
a crash the log itself tells whether it was written, since a batch is one block.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec
from msgspec import Struct

from collector.errors import Overloaded
from wal.committer import Committer
from wal.errors import LogLocked
from wal.files import Files, read_file, write_file
from wal.identity import read_log_id
from wal.reader import Reader, oldest, place_of, read_all
from wal.segment import Block, list_segments

_FOLDER: Final = "relays"
_LOCK_POLLS: Final = 500
_LOCK_POLL_SECONDS: Final = 0.02


class _Plan(Struct, frozen=True):
    """A batch that is to be appended to a shard, at this sequence of its log or behind it."""

    shard: str
    sequence: int
    first: int
    last: int


class _Mark(Struct, frozen=True):
    """The sequence of the next event of a node's log, and the batch under way."""

    next: int = 0
    plan: _Plan | None = None


class Relays:
    """How far other nodes' logs have arrived."""

    def __init__(self, directory: str, committer: Committer) -> None:
        """`directory` holds the shards."""
        self._directory = directory
        self._committer = committer
        self._files = Files()

    async def next(self, log_id: str) -> int:
        """The sequence of the next event that is wanted of a log; 0 where nothing is known. Raises Overloaded."""
        async with self._held(log_id) as mark:
            return mark.next

    async def take(self, log_id: str, records: list[tuple[int, bytes]]) -> int:
        """Store those of these records, each a sequence and a line, that are new; returns the next sequence.

        Raises Overloaded, WalError, OSError. It must not be cancelled: whether the batch was written would be unknown.
        """
        async with self._held(log_id) as mark:
            new = [(sequence, line) for sequence, line in records if sequence >= mark.next]
            if not new:
                return mark.next
            first, last = new[0][0], new[-1][0]
            shard = os.path.basename(self._committer.log.directory)
            plan = _Plan(shard, self._committer.durable.sequence, first, last)
            await self._save(log_id, _Mark(mark.next, plan))
            await self._committer.append(b"".join(line for _, line in new), len(new))
            await self._save(log_id, _Mark(last + 1))
            return last + 1

    @asynccontextmanager
    async def _held(self, log_id: str) -> AsyncIterator[_Mark]:
        """The mark of a log, for one request of all workers at a time."""
        lock = await self._lock(log_id)
        try:
            mark = await asyncio.to_thread(self._settled, log_id)
            yield mark
        finally:
            self._files.close(lock)

    async def _lock(self, log_id: str) -> int:
        path = os.path.join(self._directory, _FOLDER, f"{log_id}.lock")
        await asyncio.to_thread(self._files.make_directory, os.path.dirname(path))
        for _ in range(_LOCK_POLLS):
            try:
                return self._files.lock(path)
            except LogLocked:
                await asyncio.sleep(_LOCK_POLL_SECONDS)
        raise Overloaded("another batch of this log is under way")

    def _settled(self, log_id: str) -> _Mark:
        try:
            mark = msgspec.json.decode(read_file(self._files, self._path(log_id)), type=_Mark)
        except FileNotFoundError:
            return _Mark()
        if mark.plan and self._is_written(log_id, mark.plan):
            return _Mark(mark.plan.last + 1)
        return _Mark(mark.next)

    def _is_written(self, log_id: str, plan: _Plan) -> bool:
        """Whether the block of a plan is in its shard, by the id of its first record."""
        directory = os.path.join(self._directory, plan.shard)
        start = oldest(self._files, directory)
        if start is None or start.sequence > plan.sequence:
            raise Overloaded(f"{directory} tells no more whether a batch of {log_id} was written; see {_FOLDER}/ there")
        lock = self._free(directory)
        try:
            return self._finds(directory, plan.sequence, b'{"id":"%b-%d"' % (log_id.encode(), plan.first))
        finally:
            if lock is not None:
                self._files.close(lock)

    def _free(self, directory: str) -> int | None:
        """A lock on a shard whose writer is gone, what it wrote being durable now; None where it has a new one."""
        try:
            lock = self._files.lock(os.path.join(directory, "LOCK"))
        except LogLocked:
            return None
        path = os.path.join(directory, str(list_segments(self._files, directory)[-1]))
        descriptor = self._files.open(path, write=True)
        try:
            self._files.sync_all(descriptor)
        finally:
            self._files.close(descriptor)
        return lock

    def _finds(self, directory: str, sequence: int, start: bytes) -> bool:
        """Whether a line from this sequence of a shard on begins so."""
        files, log_id = self._files, read_log_id(self._files, directory)
        reader = Reader(files, directory, log_id, place_of(files, directory, log_id, sequence))
        try:
            return any(_has_line(step, start) for step in read_all(reader) if isinstance(step, Block))
        finally:
            reader.close()

    async def _save(self, log_id: str, mark: _Mark) -> None:
        await asyncio.to_thread(write_file, self._files, self._path(log_id), msgspec.json.encode(mark) + b"\n")

    def _path(self, log_id: str) -> str:
        return os.path.join(self._directory, _FOLDER, f"{log_id}.json")


def _has_line(block: Block, start: bytes) -> bool:
    return block.payload.startswith(start) or b"\n" + start in block.payload
