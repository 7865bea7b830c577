"""A worker's counters in shared memory: one writer, no lock, and they outlive the worker.

The supervisor creates a block for each worker and passes it to the new process; the admin process reads all blocks. A
count is an integer in place, so nothing counted is lost when the worker is killed, and its successor goes on with the
same block: a counter never goes back while the supervisor lives.

    words:  slots in use | pid of the writer | time of its last beat | value of slot 0 | value of slot 1 | …
    names:  length (2 bytes), ["name","label value",…] as JSON; the same for slot 1; …
    ring:   the last refusals, see refusals.py

A slot is added with its name first and the number of slots in use last, so a reader sees whole names only, and a
half-written name is overwritten by the successor. Slots are never removed, so their number must be bounded by the
program: no text that a client chooses may become a label value.
"""

import mmap
import os
import time
import weakref
from collections.abc import Iterable, Mapping
from multiprocessing.reduction import DupFd
from typing import Any, Final

import msgspec

_SLOTS: Final = 40_000
"""More than 1,000 properties with every code, 23 each, and all other counters can take."""
_NAMES: Final = 8 * (3 + _SLOTS)
"""Where names begin. Pages of the block that are never touched take no memory."""
_RING: Final = _NAMES + _SLOTS * 128
_RING_BYTES: Final = 16 << 10
_BYTES: Final = _RING + _RING_BYTES
_USED, _PID, _BEAT = 0, 1, 2

Key = tuple[str, ...]
"""The name of a counter and its label values."""

_decode: Final = msgspec.json.Decoder(Key).decode


class CounterBlock:
    """A block of counters. Pickle it only for a process that is being spawned."""

    def __init__(self, descriptor: int) -> None:
        """`descriptor` is that of the shared memory; it is closed with the block."""
        self._descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)
        memory = memoryview(mmap.mmap(descriptor, _BYTES))
        words = memory[:_NAMES].cast("Q")
        self._header = words[:3]
        self.values: Final = words[3:]
        """The value of each slot. `values[slot] += 1` counts."""
        self._names = memory[_NAMES:_RING]
        self.ring: Final = memory[_RING:]
        """For `RefusalRing`, and for readers of its entries."""
        self._names_end = 0
        self._slots: dict[Key, int] = {}
        self._find_slots()

    @classmethod
    def create(cls) -> "CounterBlock":
        """A new block, with no counter. Raises OSError."""
        descriptor = os.memfd_create("tracklog-counters")
        os.ftruncate(descriptor, _BYTES)
        return cls(descriptor)

    def again(self) -> "CounterBlock":
        """Another object for the same memory: two threads must not share one."""
        return CounterBlock(os.dup(self._descriptor))

    def __reduce__(self) -> tuple[Any, ...]:
        return _attached, (DupFd(self._descriptor),)

    @property
    def pid(self) -> int:
        """The process that counts here; 0 while there is none."""
        return self._header[_PID]

    @pid.setter
    def pid(self, pid: int) -> None:
        self._header[_PID] = pid

    def beat(self) -> None:
        """Tell that the writer runs."""
        self._header[_BEAT] = time.monotonic_ns()

    @property
    def silent_seconds(self) -> float:
        """Seconds since the last `beat` of this writer or an earlier one."""
        return (time.monotonic_ns() - self._header[_BEAT]) / 1e9

    def slot(self, *key: str) -> int:
        """The slot of a counter, which is added if the block does not have it. Only the writer may add one."""
        if key not in self._slots:
            self._find_slots()  # an earlier writer, another process, may have added it
        return self._slots[key] if key in self._slots else self._add(key)

    def add(self, number: int, *key: str) -> None:
        """Count `number` more, for counters that change seldom."""
        self.values[self.slot(*key)] += number

    def read(self) -> dict[Key, int]:
        """All counters as they are now."""
        self._find_slots()
        return {key: self.values[slot] for key, slot in self._slots.items()}

    def _add(self, key: Key) -> int:
        name = msgspec.json.encode(key)
        begin = self._names_end + 2
        slot, self._names_end = len(self._slots), begin + len(name)
        self._names[begin - 2 : begin] = len(name).to_bytes(2, "little")
        self._names[begin : self._names_end] = name
        self.values[slot] = 0
        self._slots[key] = slot
        self._header[_USED] = slot + 1
        return slot

    def _find_slots(self) -> None:
        """Read the names that were added since the last call, or by the writers before this one."""
        for slot in range(len(self._slots), self._header[_USED]):
            begin = self._names_end + 2
            self._names_end = begin + int.from_bytes(self._names[begin - 2 : begin], "little")
            self._slots[_decode(self._names[begin : self._names_end])] = slot


def summed(read: Iterable[Mapping[Key, int]]) -> dict[Key, int]:
    """The sums of the counters of several blocks that were read."""
    sums: dict[Key, int] = {}
    for counters in read:
        for key, value in counters.items():
            sums[key] = sums.get(key, 0) + value
    return sums


def _attached(descriptor: Any) -> CounterBlock:
    return CounterBlock(descriptor.detach())
