"""Settles the accounts that a worker left open when it was killed.

Two kinds of events are open then. Events that were fsynced before they were counted are in the log, after the place up
to which the worker had counted, and in that segment: the next open of the log begins a new segment. They are
stored. All others were in memory, their clients got no response, and they are shed.

Of a block that the worker was just counting when it was killed, within microseconds, and of one after a rotation that
was not counted yet, the events are shed here although they are in the log. Never is one stored here and not there.
"""

import contextlib
import os
from collections import Counter
from collections.abc import Iterator
from typing import Final

from collector.ops.counters import CounterBlock, Key
from collector.ops.event_property import properties_of
from collector.ops.metric_table import DUPLICATE, OTHER, RECEIVED, REJECTED, SHED, STORED, WORKER_DIED
from wal.errors import WalError
from wal.files import Files
from wal.folder import LogFolder
from wal.format import Position
from wal.reader import read_from
from wal.segment import Block

PLACE: Final = "place"
"""The counter, for each shard, of `pack`."""
_SIGNS: Final = {RECEIVED.name: 1, STORED.name: -1, REJECTED.name: -1, SHED.name: -1, DUPLICATE.name: -1}
_SEQUENCE_BITS: Final = 48
_SEGMENTS: Final = 1 << 16


def pack(place: Position) -> int:
    """A place in one integer, so that it is written at once: the low bits of the segment, and the sequence."""
    return (place.segment % _SEGMENTS << _SEQUENCE_BITS) | place.sequence


def sequence_of(packed: int) -> int:
    """The sequence in a packed place."""
    return packed % (1 << _SEQUENCE_BITS)


def settle(block: CounterBlock, directory: str) -> None:
    """Settle the open accounts. Call it once in a process, before it counts. `directory` holds the shards."""
    counters = block.read()
    unsettled = unsettled_events(counters)
    places = {key: place for key, place in counters.items() if key[0] == PLACE and place}
    if any(unsettled.values()):
        found: Counter[Key] = Counter()
        for (_, shard), place in places.items():
            with contextlib.suppress(WalError, OSError):
                accounts = _accounts_after(place, LogFolder(Files(), os.path.join(directory, shard)))
                found.update(labels if labels in unsettled else (OTHER, OTHER) for labels in accounts)
        for labels, events in unsettled.items():
            stored = min(events, found[labels])
            block.add(stored, STORED.name, *labels)
            if events > stored:
                block.add(events - stored, SHED.name, *labels, WORKER_DIED)
    for key in places:
        block.values[block.slot(*key)] = 0


def unsettled_events(counters: dict[Key, int]) -> dict[Key, int]:
    """The events that were received and are still pending, by portal and property."""
    unsettled: dict[Key, int] = {}
    for (name, *labels), value in counters.items():
        if sign := _SIGNS.get(name):
            account = tuple(labels[:2])
            unsettled[account] = unsettled.get(account, 0) + sign * value
    return unsettled


def _accounts_after(place: int, folder: LogFolder) -> Iterator[Key]:
    """Portal and property of each event from a place on, up to the end of its segment, without relayed events."""
    own = b'{"id":"%b-' % folder.log_id
    number, sequence = place >> _SEQUENCE_BITS, sequence_of(place)
    for name in folder.segments():
        if name.number % _SEGMENTS == number:
            for block in _blocks(folder, name.start):
                if block.start.sequence >= sequence:
                    lines = [line for line in block.payload.split(b"\n") if line.startswith(own)]
                    found = properties_of(b"\n".join(lines), len(lines))
                    yield from ((str(prop.portal_id), str(prop.prop_id)) for prop in found)


def _blocks(folder: LogFolder, start: Position) -> Iterator[Block]:
    """The blocks of one segment."""
    for step in read_from(folder, start):
        if step.start.segment != start.segment:
            return
        if isinstance(step, Block):
            yield step
