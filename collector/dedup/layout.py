"""Keys and values of the index, pure: bytes to values and back.

Five sub-databases, integers in the byte order of the machine:

    entries      key (16 bytes)    → Entry
    order        u64               → key; the oldest entry has the smallest number
    logs         log id (16 bytes) → LogState
    generations  u32               → Generation
    meta         "meta"            → Meta
"""

from enum import Enum
from hashlib import blake2b
from struct import Struct
from typing import Final, NamedTuple

KEY_BYTES: Final = 16
META: Final = b"meta"
OPEN: Final = (1 << 64) - 1
"""The end of a generation that has none yet."""
TIME_SHIFT: Final = 20
"""A number of the order is a time in Unix ms, and 20 bits more: a million entries in a ms have numbers of their own."""

ENTRY: Final = Struct("=QQQI")
ORDER: Final = Struct("=Q")
LOG_STATE: Final = Struct("=IQQ")
GENERATION: Final = Struct("=16sQQ")
GENERATION_NUMBER: Final = Struct("=I")
META_VALUE: Final = Struct("=IIQ")


class Entry(NamedTuple):
    """The first event with an id: when it came (Unix ms), and its place in a generation of a log."""

    time_ms: int
    sequence: int
    order: int
    generation: int


class LogState(NamedTuple):
    """The state of a log in the index, in sequences. Before `durable`, all events are fsynced.

    Before `complete`, the ids of all events are in the index.
    """

    generation: int
    durable: int
    complete: int


class Generation(NamedTuple):
    """A stretch of a log's life in which no sequence is used twice.

    Entries of it are valid below `end`. `last_order` is the newest number of the order when it ended.
    """

    log_id: bytes
    end: int
    last_order: int


class Meta(NamedTuple):
    """`epoch` rises whenever a window grows. `generation` is the last number given out.

    `longest_ms` is the longest window: older entries may be evicted.
    """

    epoch: int
    generation: int
    longest_ms: int


class Place(NamedTuple):
    """Where the first event with an id is: 16 hexadecimal digits of a log, and the sequence in it."""

    log_id: bytes
    sequence: int
    generation: int
    is_durable: bool
    """Whether the event is known to be fsynced."""


class Fate(Enum):
    """What became of the event at a place."""

    DURABLE = "durable"
    GONE = "gone"
    """It never got into the log, so its id is free again."""
    WAITING = "waiting"


def hash_of(portal_id: int, prop_id: int) -> blake2b:
    """The beginning of the keys of a property, for `key`. To copy it takes a third of the time of making it."""
    return blake2b(b"%d.%d." % (portal_id, prop_id), digest_size=KEY_BYTES)


def key(of_property: blake2b, event_id: str) -> bytes:
    """The key of a client's id, which is its own in each property."""
    hashed = of_property.copy()
    hashed.update(event_id.encode())
    return hashed.digest()


def place_of(sequence: int, number: int, generation: Generation | None, log: LogState | None) -> Place | None:
    """The place of an entry of generation `number`; None if its sequence is used again, or may be, by another event."""
    if generation is None or log is None or sequence >= generation.end:
        return None
    return Place(generation.log_id, sequence, number, sequence < log.durable)


def fate_of(place: Place, generation: Generation | None, log: LogState | None) -> Fate:
    """What became of the event at a place that a claim returned."""
    now = place_of(place.sequence, place.generation, generation, log)
    if now is None:
        return Fate.GONE
    return Fate.DURABLE if now.is_durable else Fate.WAITING
