"""The index as a worker uses it: claims before an append, and what becomes of the worker's log.

The life of an entry:

                 claim                       publish, or begin after a restart
    not known ----------> WAITING ------------------------------------------------> DURABLE
        ^                    |  failed, or begin below its sequence                    |
        +-------- GONE <-----+                                                         |
        +--------------------------- the window is over, or evicted -------------------+
"""

import os
from typing import NamedTuple

from collector.dedup.bounds import PAGE_BYTES, Bounds, bounds_of
from collector.dedup.claims import Claims
from collector.dedup.entries import Entries
from collector.dedup.generations import read_generation, read_log, read_meta, start_generation, write_log
from collector.dedup.layout import Fate, Place, fate_of
from collector.dedup.store import IndexStore, open_store
from collector.settings.dedup import DedupSettings


class IndexStats(NamedTuple):
    """The number of entries, the Unix ms of the oldest (None without entries), and the bytes that they need.

    `forgotten` entries had to go before their time since this process opened the index, because that has no room.
    """

    entries: int
    oldest_ms: int | None
    bytes: int
    forgotten: int


def open_index(settings: DedupSettings) -> "DedupIndex":
    """Open the index of this node, and create it if there is none that can be trusted. Blocks. Raises OSError."""
    store = open_store(os.path.abspath(settings.dir), settings.bytes)
    return DedupIndex(store, bounds_of(settings.entries, store.map_bytes))


class DedupIndex:
    """The index in one process. Claims belong to one thread; every other method may be called in any.

    Every method raises IndexLost if the index is broken or was replaced: then only a restart of the process helps.
    """

    def __init__(self, store: IndexStore, bounds: Bounds) -> None:
        self.store = store
        self.entries = Entries(store, bounds)
        self.epoch = 0
        """The windows by which this process claims. `catch_up` sets it."""
        self._claims = Claims(store, self.entries)

    def begin(self, log_id: bytes, next_sequence: int) -> None:
        """This process has opened and recovered its log, whose next event gets `next_sequence`. Claims belong to it."""
        self._claims.log_id = log_id
        with self.store.transaction() as txn:
            self._claims.start(txn, next_sequence, next_sequence)

    def settle(self, log_id: bytes, next_sequence: int) -> None:
        """This process has opened and recovered another log, for instance to ship what a dead worker left in it."""
        with self.store.transaction() as txn:
            start_generation(self.store, txn, log_id, next_sequence, next_sequence)

    def failed(self, next_sequence: int) -> None:
        """A commit failed: `next_sequence`, and those after it, go to other events. Call it before the next claim."""
        with self.store.transaction() as txn:
            self._claims.use_again(txn, next_sequence)

    def claims(self, now_ms: int) -> Claims:
        """A block of claims at this time, in Unix ms:

            with index.claims(now_ms) as claims:
                first = claims.claim(key, sequence, window_ms)

        Append to the log within the block, and await nothing in it: other processes wait for its end.
        """
        self._claims.now_ms = now_ms
        return self._claims

    def publish(self, durable_next: int) -> None:
        """Tell all processes that the events of this process's log before `durable_next` are fsynced."""
        self.store.check()
        claims = self._claims
        with self.store.transaction() as txn:
            log = read_log(self.store, txn, claims.log_id)
            if log is None or log.generation != claims.generation:  # somebody took this log for gone, or for restored
                claims.start(txn, durable_next, durable_next)
                return
            is_complete = read_meta(self.store, txn).epoch == self.epoch
            complete = max(log.complete, durable_next) if is_complete else log.complete
            write_log(self.store, txn, claims.log_id, log._replace(durable=durable_next, complete=complete))
            self.entries.passed_over(txn.id())

    def state(self, place: Place) -> Fate:
        """What became of the first event, for a request that waits for it."""
        with self.store.transaction() as txn:
            return fate_of(place, *read_generation(self.store, txn, place.generation))

    def stats(self, now_ms: int) -> IndexStats:
        """The number of entries, their age and their bytes."""
        self.entries.begin(now_ms)
        try:
            entries, pages = self.entries.counts()
            return IndexStats(entries, self.entries.oldest_ms(), pages * PAGE_BYTES, self.entries.forgotten)
        finally:
            self.entries.abort()

    def close(self) -> None:
        """Close the index."""
        self.store.close()
