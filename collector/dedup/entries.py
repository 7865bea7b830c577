"""The entries of the index within transactions: finds, adds and evicts them, so that the bounds always hold."""

from collections.abc import Sequence
from typing import Final

import lmdb

from collector.dedup.bounds import EVICTIONS, OPERATIONS, Bounds
from collector.dedup.generations import read_entry, read_meta, read_place
from collector.dedup.layout import ENTRY, ORDER, TIME_SHIFT, Entry, Place
from collector.dedup.store import IndexStore, Transaction

_HOUSEKEEPING: Final = 16
"""Entries that are added between two looks at the number of pages and at the age of the oldest entry."""
_EXPIRED: Final = 2 * _HOUSEKEEPING
"""Expired entries that are evicted at a look, so that they go faster than new ones come."""


class Entries:
    """The entries, in one transaction at a time. One thread at a time; others wait in `begin`.

    The number of entries and the newest place in the order are remembered from one transaction to the next. They are
    asked for again only if another process had a transaction in between, which the number of the transaction tells.
    """

    # of the open transaction, so `begin` sets them
    txn: Transaction
    _now_ms: int
    _floor: int
    """The least number of the order that a claim may get now."""

    def __init__(self, store: IndexStore, bounds: Bounds) -> None:
        self._store = store
        self._bounds = bounds
        self._entries = store.entries
        self._order = store.order
        self._begin_txn = store.env.begin
        self._is_open = False
        self._expected_id = -1
        self._count = 0
        self._last = 0
        self._operations = 0
        self._due = 0
        """Entries that may be added until the next look."""
        self._evictions = 0
        """Entries to evict for each that is added, because pages are short."""
        self.forgotten = 0
        """Entries that this process evicted because the index has no room for them."""

    def begin(self, now_ms: int) -> None:
        """Begin a transaction at this time, in Unix ms. Raises IndexLost."""
        self._store.mutex.acquire()
        try:
            self.txn = txn = self._begin_txn(None, None, True)
            if txn.id() != self._expected_id:
                self._look(txn)
        except lmdb.Error as error:
            self._store.mutex.release()
            raise self._store.lost(error) from error
        self._is_open = True
        self._now_ms = now_ms
        self._floor = now_ms << TIME_SHIFT
        self._operations = 0

    def commit(self) -> None:
        """Commit the transaction. Raises IndexLost."""
        self._expected_id = self.txn.id() + 1
        self._is_open = False
        try:
            self.txn.commit()
        except lmdb.Error as error:
            raise self._store.lost(error) from error
        finally:
            self._store.mutex.release()

    def abort(self) -> None:
        """Abort the transaction, unless its commit has failed."""
        self._expected_id = -1
        if self._is_open:
            self._is_open = False
            self.txn.abort()
            self._store.mutex.release()

    def passed_over(self, transaction_id: int) -> None:
        """A transaction of this process that changed no entry was committed: what is remembered stays true."""
        if transaction_id == self._expected_id:
            self._expected_id += 1

    @property
    def is_long(self) -> bool:
        """Whether the transaction has as many operations as one may have."""
        return self._operations >= OPERATIONS

    def claim(self, key: bytes, sequence: int, generation: int, window_ms: int) -> Place | None:
        """Give an id to an event, unless it is known within the window: then return the place of its first event."""
        order = max(self._floor, self._last + 1)  # the second if this ms has entries already, or the clock was set back
        value = ENTRY.pack(self._now_ms, sequence, order, generation)
        # by position: keywords cost a sixth of a claim
        if not self.txn.put(key, value, True, False, False, self._entries):
            if (entry := read_entry(self._store, self.txn, key)) is not None:
                if self._now_ms - entry.time_ms < window_ms and (place := read_place(self._store, self.txn, entry)):
                    return place
                self._replace(key, value, entry)
        else:
            self._count += 1
        self.txn.put(ORDER.pack(order), key, True, True, True, self._order)
        self._last = order
        self._added()
        return None

    def claim_new(self, keys: Sequence[bytes], sequence: int, generation: int) -> bool:
        """As `claim` for ids that are all new, which is the rule, in half the time. False if they are not.

        Also if pages are short, since each claim evicts several entries then. The events get sequences from `sequence`
        on; those with an empty key have no id.
        """
        has_ids = [key for key in keys if key]
        if self._evictions or len(set(has_ids)) < len(has_ids):
            return False
        with self.txn.cursor(self._entries) as cursor:
            if cursor.getmulti(has_ids):
                return False
            order = max(self._floor, self._last + 1)
            now_ms, pack = self._now_ms, ENTRY.pack
            cursor.putmulti(
                [(key, pack(now_ms, sequence + at, order + at, generation)) for at, key in enumerate(keys) if key]
            )
        with self.txn.cursor(self._order) as cursor:
            cursor.putmulti([(ORDER.pack(order + at), key) for at, key in enumerate(keys) if key], True, True, True)
        self._last = order + len(keys)
        self._count += len(has_ids)
        self._operations += len(has_ids)
        self._due -= len(has_ids)
        if self._due < 0:
            self._keep_house()
        if (excess := self._count - self._bounds.entries) > 0:
            self.forgotten += self._evict(min(2 * len(has_ids), excess))
        return True

    def add(self, key: bytes, entry: Entry, window_ms: int) -> bool:
        """Add an id that was found in a log, unless it is known. The entry's order is the least that it may get.

        Returns False if the entry is older than all, and there is no room for it.
        """
        if (self._evictions or self._count >= self._bounds.entries) and entry.order < self._oldest():
            return False
        known = read_entry(self._store, self.txn, key)
        if known is not None and not self._is_superseded(known, entry, window_ms):
            return True
        order = self._free_order(entry.order)
        value = ENTRY.pack(*entry._replace(order=order))
        if known is not None:
            self._replace(key, value, known)
        else:
            self.txn.put(key, value, db=self._entries)
            self._count += 1
        self.txn.put(ORDER.pack(order), key, append=order > self._last, db=self._order)
        self._last = max(self._last, order)
        self._added()
        return True

    def oldest_ms(self) -> int | None:
        """The Unix ms of the oldest entry; None if there is none."""
        return self._oldest() >> TIME_SHIFT if self._count else None

    def counts(self) -> tuple[int, int]:
        """The number of entries, and of the pages of both trees."""
        pages = 0
        for tree in (self._entries, self._order):
            stat = self.txn.stat(tree)
            pages += stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
        return stat["entries"], pages

    def _look(self, txn: Transaction) -> None:
        self._count = txn.stat(self._order)["entries"]
        with txn.cursor(self._order) as cursor:
            self._last = ORDER.unpack(cursor.key())[0] if cursor.last() else 0

    def _replace(self, key: bytes, value: bytes, entry: Entry) -> None:
        self.txn.delete(ORDER.pack(entry.order), db=self._order)
        self.txn.put(key, value, db=self._entries)

    def _is_superseded(self, known: Entry, entry: Entry, window_ms: int) -> bool:
        """Whether a claim of the found event would have replaced the known entry."""
        if read_place(self._store, self.txn, known) is None:
            return True
        return entry.time_ms - known.time_ms >= window_ms

    def _free_order(self, order: int) -> int:
        """The least number of the order from `order` on that no entry has."""
        if order <= self._last:
            with self.txn.cursor(self._order) as cursor:
                while cursor.set_key(ORDER.pack(order)):
                    order += 1
        return order

    def _oldest(self) -> int:
        with self.txn.cursor(self._order) as cursor:
            return int(ORDER.unpack(cursor.key())[0]) if cursor.first() else 0

    def _added(self) -> None:
        """After an entry was added: evict as many as the bounds demand, the oldest first."""
        self._operations += 1
        self._due -= 1
        if self._due < 0:
            self._keep_house()
        if self._evictions:
            self.forgotten += self._evict(self._evictions)
        elif self._count > self._bounds.entries:
            self.forgotten += self._evict(min(2, self._count - self._bounds.entries))  # two where the bound was lowered

    def _keep_house(self) -> None:
        """Evict entries older than the longest window, and see whether pages are short."""
        self._due = _HOUSEKEEPING
        expired = (self._now_ms - read_meta(self._store, self.txn).longest_ms) << TIME_SHIFT
        for _ in range(_EXPIRED):
            if self._count == 0 or self._oldest() >= expired:
                break
            self._evict(1)
        _, pages = self.counts()
        self._evictions = EVICTIONS if pages > self._bounds.pages or not self._store.reserve() else 0

    def _evict(self, number: int) -> int:
        """Evict so many of the oldest entries; returns how many there were."""
        with self.txn.cursor(self._order) as cursor:
            for evicted in range(number):
                if not cursor.first():
                    return evicted
                key = cursor.value()
                cursor.delete()
                self.txn.delete(key, b"", self._entries)
                self._count -= 1
                self._operations += 1
        return number
