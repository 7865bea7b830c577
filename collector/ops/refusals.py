"""The last refusals of a worker that left no content, and its last duplicates, in shared memory beside its counters.

One writer, no lock, and they outlive the worker. The memory is the number of refusals published (8 bytes), then entries
of 192 bytes. A refusal gets the next number from 1 on, and its entry is the one at `number % ENTRIES`:

    CRC-32 of the rest | number | Unix ms | code | property | path | event id
    4                    8        8         24     64         48     36

Longer texts are cut. A reader that finds another number or CRC has met an entry that is being overwritten, and leaves
it out.
"""

import asyncio
import time
from collections import deque
from struct import Struct
from typing import Final, NamedTuple
from zlib import crc32

from collector.ops.counters import CounterBlock

ENTRIES: Final = 64
_CHECKED: Final = Struct("<QQ24s64s48s36s")
_CRC: Final = Struct("<I")
_ENTRY_BYTES: Final = _CRC.size + _CHECKED.size
_NUMBER: Final = Struct("<Q")
_PUBLISH_SECONDS: Final = 0.1
"""Refusals wait this long for others: a flood costs at most 640 entries a second, whatever its rate."""


class RefusalEntry(NamedTuple):
    """A refusal. All that is not printable ASCII in its texts is escaped, since clients choose some of them."""

    number: int
    unix_ms: int
    code: str
    """The code of the response, or `duplicate`."""
    property: str
    """`PORTAL/PROP`, or the property that the request names."""
    path: str
    event_id: str
    """For a duplicate, the id of the first event; else empty."""


class RefusalRing:
    """Writes the refusals of a worker. Belongs to its event loop."""

    def __init__(self, block: CounterBlock) -> None:
        self._ring = block.ring
        (self._number,) = _NUMBER.unpack_from(self._ring)
        self._waiting: deque[tuple[int, str, str, bytes, bytes]] = deque(maxlen=ENTRIES)

    def add(self, code: str, prop: str, path: bytes, event_id: bytes = b"") -> None:
        """Keep a refusal. Takes 0.3 us beside one timer in _PUBLISH_SECONDS."""
        if not self._waiting:
            asyncio.get_running_loop().call_later(_PUBLISH_SECONDS, self.publish)
        self._waiting.append((time.time_ns(), code, prop, path, event_id))
        self._number += 1

    def publish(self) -> None:
        """Write the refusals that wait."""
        first = self._number - len(self._waiting) + 1
        for number, (unix_ns, code, prop, path, event_id) in enumerate(self._waiting, first):
            texts = code.encode(), prop.encode("utf-8", "backslashreplace"), path, event_id
            checked = _CHECKED.pack(number, unix_ns // 1_000_000, *texts)
            start = _start_of(number)
            self._ring[start : start + _ENTRY_BYTES] = _CRC.pack(crc32(checked)) + checked
        self._waiting.clear()
        _NUMBER.pack_into(self._ring, 0, self._number)


def read_refusals(block: CounterBlock, after: int) -> tuple[list[RefusalEntry], int]:
    """The refusals after the one with this number, oldest first; and the number of the last one that is published.

    Entries that newer ones have replaced are missing.
    """
    ring = bytes(block.ring)  # at once, so that few entries change meanwhile
    (last,) = _NUMBER.unpack_from(ring)
    numbers = range(max(after, last - ENTRIES) + 1, last + 1)
    return [entry for number in numbers if (entry := _entry(ring, number))], last


def _start_of(number: int) -> int:
    return _NUMBER.size + number % ENTRIES * _ENTRY_BYTES


def _entry(ring: bytes, number: int) -> RefusalEntry | None:
    start = _start_of(number)
    checked = ring[start + _CRC.size : start + _ENTRY_BYTES]
    found, unix_ms, *texts = _CHECKED.unpack(checked)
    if found != number or _CRC.unpack_from(ring, start) != (crc32(checked),):
        return None
    return RefusalEntry(number, unix_ms, *map(_printable, texts))


def _printable(text: bytes) -> str:
    """Text as ASCII. `unicode_escape` leaves nothing else, and the backslash of the client is escaped too."""
    return text.rstrip(b"\0").decode("utf-8", "backslashreplace").encode("unicode_escape").decode()
