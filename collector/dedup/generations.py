"""Generations of logs: which sequences of a log still belong to the events that were claimed with them.

Ids are claimed before their events are fsynced. A crash or a failed commit loses the last events of a log, and their
sequences go to other events. A new generation begins then, and every earlier one ends at the first sequence that is
used again. An entry is valid only below the end of its generation, so none ever points to another event.

The functions here read and write within a transaction of their caller.
"""

from typing import Final

from collector.dedup.layout import (
    ENTRY,
    GENERATION,
    GENERATION_NUMBER,
    LOG_STATE,
    META,
    META_VALUE,
    OPEN,
    ORDER,
    Entry,
    Generation,
    LogState,
    Meta,
    Place,
    place_of,
)
from collector.dedup.store import IndexStore, Transaction

_FOREVER_MS: Final = 1 << 42
"""The longest window until `catch_up` knows it."""
KEPT: Final = 256
"""Generations kept of a log. Only a worker that starts more often than this within the longest window loses the oldest.
Its ids are forgotten then, which is safe."""


def read_meta(store: IndexStore, txn: Transaction) -> Meta:
    """The record of the whole index."""
    value = txn.get(META, db=store.meta)
    return Meta(*META_VALUE.unpack(value)) if value else Meta(0, 0, _FOREVER_MS)


def write_meta(store: IndexStore, txn: Transaction, meta: Meta) -> None:
    """Replace the record of the whole index."""
    txn.put(META, META_VALUE.pack(*meta), db=store.meta)


def read_log(store: IndexStore, txn: Transaction, log_id: bytes) -> LogState | None:
    """The state of a log in the index; None for a log that it does not know."""
    value = txn.get(log_id, db=store.logs)
    return LogState(*LOG_STATE.unpack(value)) if value else None


def write_log(store: IndexStore, txn: Transaction, log_id: bytes, log: LogState) -> None:
    """Replace the state of a log."""
    txn.put(log_id, LOG_STATE.pack(*log), db=store.logs)


def all_logs(store: IndexStore, txn: Transaction) -> dict[bytes, LogState]:
    """The state of each log, by log id."""
    return {log_id: LogState(*LOG_STATE.unpack(value)) for log_id, value in txn.cursor(store.logs)}


def read_generation(store: IndexStore, txn: Transaction, number: int) -> tuple[Generation | None, LogState | None]:
    """A generation and its log; None for each that the index does not know."""
    value = txn.get(GENERATION_NUMBER.pack(number), db=store.generations)
    if value is None:
        return None, None
    generation = Generation(*GENERATION.unpack(value))
    return generation, read_log(store, txn, generation.log_id)


def read_place(store: IndexStore, txn: Transaction, entry: Entry) -> Place | None:
    """The place of an entry; None if it is not valid."""
    return place_of(entry.sequence, entry.generation, *read_generation(store, txn, entry.generation))


def read_entry(store: IndexStore, txn: Transaction, key: bytes) -> Entry | None:
    """The entry of an id; None if there is none."""
    value = txn.get(key, db=store.entries)
    return Entry(*ENTRY.unpack(value)) if value else None


def start_generation(store: IndexStore, txn: Transaction, log_id: bytes, next_sequence: int, durable: int) -> int:
    """Start a generation of a log in which `next_sequence` is given next; return its number.

    All events before `durable` are fsynced.
    """
    meta = read_meta(store, txn)
    number = meta.generation + 1
    oldest, newest = _ends_of_order(store, txn)
    ended = []
    for earlier, known in _all_generations(store, txn):
        generation = _ended(known, next_sequence, newest) if known.log_id == log_id else known
        if generation.end != OPEN and generation.last_order < oldest:  # the last of its entries was evicted
            _forget(store, txn, earlier)
        elif generation.log_id == log_id:
            ended.append(earlier)
            txn.put(GENERATION_NUMBER.pack(earlier), GENERATION.pack(*generation), db=store.generations)
    for earlier in ended[: -KEPT + 1]:
        _forget(store, txn, earlier)
    log = read_log(store, txn, log_id)
    complete = min(log.complete, next_sequence) if log else 0
    write_log(store, txn, log_id, LogState(number, durable, complete))
    txn.put(GENERATION_NUMBER.pack(number), GENERATION.pack(log_id, OPEN, 0), db=store.generations)
    write_meta(store, txn, meta._replace(generation=number))
    return number


def forget_log(store: IndexStore, txn: Transaction, log_id: bytes) -> None:
    """Forget a log that is gone, and with it the places of all its events."""
    for number, generation in _all_generations(store, txn):
        if generation.log_id == log_id:
            _forget(store, txn, number)
    txn.delete(log_id, db=store.logs)


def _ended(generation: Generation, next_sequence: int, newest: int) -> Generation:
    """A generation after its log goes on at `next_sequence`: a log that is shorter again cuts the earlier ones, too."""
    last_order = newest if generation.end == OPEN else generation.last_order
    return generation._replace(end=min(generation.end, next_sequence), last_order=last_order)


def _all_generations(store: IndexStore, txn: Transaction) -> list[tuple[int, Generation]]:
    """All generations, the oldest first."""
    found = list(txn.cursor(store.generations))
    return [(GENERATION_NUMBER.unpack(number)[0], Generation(*GENERATION.unpack(value))) for number, value in found]


def _forget(store: IndexStore, txn: Transaction, number: int) -> None:
    txn.delete(GENERATION_NUMBER.pack(number), db=store.generations)


def _ends_of_order(store: IndexStore, txn: Transaction) -> tuple[int, int]:
    """The oldest and the newest number of the order; without entries, the oldest is above all numbers."""
    with txn.cursor(store.order) as cursor:
        if not cursor.first():
            return OPEN, 0
        oldest = ORDER.unpack(cursor.key())[0]
        cursor.last()
        return oldest, ORDER.unpack(cursor.key())[0]
