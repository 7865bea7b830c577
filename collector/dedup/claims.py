"""The claims of one append: they hold once the block of the `with` statement ends, and are forgotten if it raises."""

from collections.abc import Sequence
from types import TracebackType
from typing import Final

import lmdb

from collector.dedup.bounds import OPERATIONS
from collector.dedup.entries import Entries
from collector.dedup.generations import read_log, start_generation
from collector.dedup.layout import Place
from collector.dedup.store import IndexStore, Transaction

_AT_ONCE: Final = OPERATIONS // 2
"""Claims in one call; as many entries may be evicted for them."""
_FEWEST: Final = 4
"""Fewer are claimed faster one by one."""


class Claims:
    """Claims ids for events of this process's log. `DedupIndex.claims` returns it."""

    def __init__(self, store: IndexStore, entries: Entries) -> None:
        self.log_id = b""
        self.generation = 0
        """The generation of the log in which sequences are given now."""
        self.now_ms = 0
        self._store = store
        self._entries = entries
        self._first: int | None = None
        """The lowest sequence that was claimed in this block."""
        self._is_split = False
        """Whether a part of the block's claims is committed already."""

    def __enter__(self) -> "Claims":
        self._entries.begin(self.now_ms)
        self._first = None
        self._is_split = False
        return self

    def claim_all(self, keys: Sequence[bytes], sequence: int, windows_ms: Sequence[int]) -> dict[int, Place]:
        """Claim ids, each within its window, for events that get the sequences from `sequence` on, in order.

        An empty key stands for an event without an id. Returns the place of the first event for each id that is known,
        by its position: this event must not be stored, and gets no sequence. Raises as `claim`.
        """
        known: dict[int, Place] = {}
        for at in range(0, len(keys), _AT_ONCE):
            part = keys[at : at + _AT_ONCE]
            if self._entries.is_long:
                self._commit_part()
            if len(part) >= _FEWEST and self._entries.claim_new(part, sequence, self.generation):
                self._first = sequence if self._first is None else self._first
                sequence += len(part)
                continue
            for place, key in enumerate(part, at):
                first = self.claim(key, sequence, windows_ms[place]) if key else None
                if first is None:
                    sequence += 1
                else:
                    known[place] = first
        return known

    def claim(self, key: bytes, sequence: int, window_ms: int) -> Place | None:
        """Claim an id for the event that will get `sequence`. Sequences rise within a block.

        Returns None if the id was not known within the last `window_ms`: it belongs to this event now. Else it returns
        the place of the first event, and this one must not be stored. Raises IndexLost, lmdb.Error.
        """
        if self._entries.is_long:
            self._commit_part()
        first = self._entries.claim(key, sequence, self.generation, window_ms)
        if first is None and self._first is None:
            self._first = sequence
        return first

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Raises IndexLost, also in the place of an lmdb.Error."""
        if kind is None:
            self._entries.commit()
            return
        self._entries.abort()
        if isinstance(error, lmdb.Error):
            raise self._store.lost(error) from error
        if self._is_split and self._first is not None:
            # Other processes may have seen the claims of a committed part. Their sequences go to other events.
            self._entries.begin(self.now_ms)
            self.use_again(self._entries.txn, self._first)
            self._entries.commit()

    def use_again(self, txn: Transaction, next_sequence: int) -> None:
        """Sequences from this one on go to other events than those that were claimed with them."""
        log = read_log(self._store, txn, self.log_id)
        durable = min(log.durable, next_sequence) if log else 0
        self.start(txn, next_sequence, durable)

    def start(self, txn: Transaction, next_sequence: int, durable: int) -> None:
        """Start a generation of the log. All events before `durable` are fsynced."""
        self.generation = start_generation(self._store, txn, self.log_id, next_sequence, durable)

    def _commit_part(self) -> None:
        """Go on in another transaction: a long one would hold up other processes, and need many free pages."""
        self._entries.commit()
        self._entries.begin(self.now_ms)
        self._is_split = True
