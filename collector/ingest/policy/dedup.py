"""Once from the client's hand: an event whose id is in the log already is not stored again.

The index of ids is shared by all workers of a node. An id is claimed in the moment its event is appended, before the
fsync: so a worker that finds the claim of another event waits until that one is fsynced, or is known to be lost.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from typing import Final, NamedTuple

from collector.dedup.index import DedupIndex, IndexStats
from collector.dedup.layout import Fate, Place, hash_of, key
from collector.dedup.store import IndexLost
from collector.errors import Overloaded
from collector.ingest.policy.properties import Property
from collector.ingest.record import renumbered
from wal.committer import Committer

_WAIT_SECONDS: Final = 2.0
"""How long the first event with an id may take in another worker. That is its commit, or the restart of its worker."""
_FIRST_PAUSE: Final = 0.002
_LONGEST_PAUSE: Final = 0.05
_LOST: Final = "the index of event ids is broken; this worker restarts to make another"


class Appended(NamedTuple):
    """The fate of records: the new ones are in the block of `durable`, from the sequence `first` on.

    `duplicates` has the place of the first event for each record that was not new, by its position.
    """

    durable: asyncio.Future[None] | None
    first: int
    duplicates: dict[int, Place]


class Dedup:
    """Appends events with ids to one log. Belongs to the event loop."""

    def __init__(self, index: DedupIndex, committer: Committer, end_worker: Callable[[Exception], None]) -> None:
        """`end_worker` is called if only a restart can open the index again."""
        self._index = index
        self._committer = committer
        self._end_worker = end_worker
        self._is_lost = False
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, "ids")
        """Of its own: the other threads are nice, and whoever holds the lock of the index must not be."""
        self._of_properties: dict[bytes, blake2b] = {}
        """The beginning of the keys of each property, by `Property.members`."""
        self._blocks: deque[tuple[int, asyncio.Future[None]]] = deque()
        """The blocks on their way to the disk that have claims: the sequence after each, and its future."""
        committer.on_failed = self._failed

    def key_of(self, prop: Property, event_id: str) -> bytes:
        """The key of an event's id in the index."""
        members = prop.members
        hashed = self._of_properties.get(members)
        if hashed is None:
            hashed = self._of_properties[members] = hash_of(prop.portal_id, prop.prop_id)
        return key(hashed, event_id)

    def append(
        self,
        records: Sequence[bytes],
        keys: Sequence[bytes],
        windows_ms: Sequence[int],
        now_ms: int,
        *,
        is_part: bool = False,
    ) -> Appended:
        """Append the records whose key is new within its window; an empty key is always new. They are numbered already.

        Events without an id would be stored again if their batch were sent again. So a batch with both kinds is refused
        while the first event of one of its ids is on its way to the disk in another worker, which may fail; unless it
        `is_part` of a request, of which another part may be stored. In this worker, both would fail.

        Raises Overloaded, WalError, RecordTooLarge; then appends nothing.
        """
        committer, log_id = self._committer, self._committer.log.log_id
        first = committer.next_sequence
        try:
            with self._index.claims(now_ms) as claims:
                new, duplicates = records, claims.claim_all(keys, first, windows_ms)
                if duplicates:
                    if not (is_part or all(keys)) and any(map(self._may_get_lost, duplicates.values())):
                        raise Overloaded("the first event with an id of this batch is not on the disk yet")
                    new = [record for at, record in enumerate(records) if at not in duplicates]
                    new = [renumbered(record, log_id, sequence) for sequence, record in enumerate(new, first)]
                durable = committer.append(b"".join(new), len(new)) if new else None
        except IndexLost as error:
            raise self._lost(error) from None
        if durable is not None:
            self._watch(durable)
        return Appended(durable, first, duplicates)

    def _may_get_lost(self, place: Place) -> bool:
        """Whether an event of another worker is on its way to the disk."""
        return not place.is_durable and place.log_id != self._committer.log.log_id

    async def wait(self, places: Iterable[Place]) -> None:
        """Return when the events at these places are fsynced. Raises Overloaded if one of them is lost, WalError."""
        for place in places:
            if not place.is_durable and not await self._own(place):
                await self._others(place)

    async def stats(self, now_ms: int) -> IndexStats | None:
        """Statistics of the index; None if it is broken.

        In a thread: each transaction writes to a memory map, and a disk that stands still would stop the event loop.
        """
        try:
            return await self._loop.run_in_executor(self._thread, self._index.stats, now_ms)
        except IndexLost as error:
            self._lost(error)
            return None

    async def _own(self, place: Place) -> bool:
        """Wait for an event of this worker's log. False if it is none, or not on its way."""
        if place.log_id != self._committer.log.log_id:
            return False
        future = next((future for end, future in self._blocks if place.sequence < end), None)
        if future is not None:
            await future
        return future is not None

    async def _others(self, place: Place) -> None:
        """Wait for an event of another worker, or of an earlier life of this one."""
        pause = _FIRST_PAUSE
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                while (state := self._state(place)) is Fate.WAITING:
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)
        except TimeoutError:
            raise Overloaded("the first event with this id is not on the disk yet") from None
        if state is Fate.GONE:
            raise Overloaded("the first event with this id was lost on its way to the disk")

    def _state(self, place: Place) -> Fate:
        try:
            return self._index.state(place)
        except IndexLost as error:
            raise self._lost(error) from None

    def _watch(self, durable: asyncio.Future[None]) -> None:
        end = self._committer.next_sequence
        if self._blocks and self._blocks[-1][1] is durable:
            self._blocks[-1] = end, durable
        else:
            self._blocks.append((end, durable))
            durable.add_done_callback(self._done)

    def _done(self, durable: asyncio.Future[None]) -> None:
        """Tell the other workers of a block that is fsynced. `_failed` tells them of failed blocks."""
        while self._blocks and self._blocks[0][1].done():
            self._blocks.popleft()
        if durable.exception() is None:
            self._tell(self._index.publish, self._committer.durable.sequence)

    def _failed(self, next_sequence: int) -> None:
        self._tell(self._index.failed, next_sequence)

    def _tell(self, call: Callable[[int], None], sequence: int) -> None:
        try:
            call(sequence)
        except IndexLost as error:
            self._lost(error)

    def _lost(self, error: IndexLost) -> Overloaded:
        if not self._is_lost:
            self._is_lost = True
            self._end_worker(error)
        return Overloaded(_LOST)
