"""Reads logs into the index, segment by segment: the ids that it lacks, and where each log ends."""

import time
import zlib
from collections.abc import Iterator
from contextlib import closing
from operator import attrgetter
from typing import Final, NamedTuple

from collector.dedup.entries import Entries
from collector.dedup.layout import TIME_SHIFT, Entry, LogState, hash_of, key
from collector.dedup.scan import Found, found_in
from collector.dedup.windows import Windows, window_of
from wal.errors import WalError
from wal.folder import LogFolder
from wal.format import Position
from wal.reader import Reader
from wal.seek import place_before
from wal.segment import Block
from wal.tools.listing import opened_ms
from wal.tools.verify import Finding, read_on

_PAUSE_SECONDS: Final = 1e-5
_IDS_WITHOUT_PAUSE: Final = 1000
"""Ids that are added before a pause. Without one, a thread that waits to claim would not get its turn."""
_SPREAD_BITS: Final = 12
"""The orders of two logs in the same ms begin at different numbers, so that a free one is found at once."""


class Stretch(NamedTuple):
    """A part of a log to read: one segment, which was created at `opened_ms`, from `start` on."""

    opened_ms: int
    folder: LogFolder
    start: Position
    generation: int
    complete: int
    """The ids of events before this sequence are in the index already."""
    is_newest: bool
    """Whether the log ends in it."""


class Ending(NamedTuple):
    """Where a log ends, and the sequence before which its events are fsynced."""

    sequence: int
    proven: int


class Reading:
    """Reads logs into the index. The newest segments come first, so that older ones are left out once it is full."""

    def __init__(self, entries: Entries, windows: Windows, now_ms: int, faults: list[str]) -> None:
        self.added = 0
        self.endings: dict[bytes, Ending] = {}
        self._entries = entries
        self._windows = windows
        self._now_ms = now_ms
        self._faults = faults
        self._is_full = False
        self._without_pause = 0

    def read_all(self, logs: list[tuple[LogFolder, LogState]], since_ms: int) -> None:
        """Read what the index lacks of these logs, down to events of `since_ms`."""
        stretches: list[Stretch] = []
        for folder, state in logs:
            try:
                found = list(_stretches(folder, state, since_ms))
            except (WalError, OSError) as error:
                self._faults.append(f"{folder.path}: {error}")
                continue
            stretches += found
            if not found:
                self.endings[folder.log_id] = Ending(0, 0)
        for stretch in sorted(stretches, key=attrgetter("opened_ms"), reverse=True):
            if stretch.is_newest or not self._is_full:
                self._read(stretch)

    def _read(self, stretch: Stretch) -> None:
        added = refused = 0
        ending: Ending | None = Ending(stretch.start.sequence, stretch.start.sequence)
        try:
            for step in _steps(stretch):
                if isinstance(step, Finding):
                    ending = None
                    continue
                if ending:
                    ending = Ending(step.end.sequence, (step.start if step.header.records else step.end).sequence)
                results = self._add(step, stretch)
                added += results.count(True)
                refused += results.count(False)
        except (WalError, OSError) as error:
            self._faults.append(f"{stretch.folder.path}: {error}")
            ending = None
        if stretch.is_newest and ending:
            self.endings[stretch.folder.log_id] = ending
        self.added += added
        self._is_full = self._is_full or (refused > 0 and added == 0)

    def _add(self, block: Block, stretch: Stretch) -> list[bool]:
        """Add the ids of a block. Returns for each whether there was room for it."""
        found = (
            (sequence, record)
            for sequence, record in found_in(block.payload, stretch.folder.log_id)
            if sequence >= stretch.complete and self._is_remembered(record)
        )
        results = []
        entries = self._entries
        record = next(found, None)
        while record:
            entries.begin(self._now_ms)
            try:
                while record and not entries.is_long:
                    results.append(self._add_one(stretch, *record))
                    record = next(found, None)
            except BaseException:
                entries.abort()
                raise
            entries.commit()
        self._pause(len(results))
        return results

    def _pause(self, ids: int) -> None:
        self._without_pause += ids
        if self._without_pause >= _IDS_WITHOUT_PAUSE:
            self._without_pause = 0
            time.sleep(_PAUSE_SECONDS)

    def _is_remembered(self, record: Found) -> bool:
        return self._now_ms - record.received_at < self._window_of(record)

    def _window_of(self, record: Found) -> int:
        return window_of(self._windows, record.portal_id, record.prop_id, record.dialect)

    def _add_one(self, stretch: Stretch, sequence: int, record: Found) -> bool:
        spread = zlib.crc32(stretch.folder.log_id) % (1 << (TIME_SHIFT - _SPREAD_BITS)) << _SPREAD_BITS
        order = (record.received_at << TIME_SHIFT) + spread
        entry = Entry(record.received_at, sequence, order, stretch.generation)
        known_as = key(hash_of(record.portal_id, record.prop_id), record.event_id)
        return self._entries.add(known_as, entry, self._window_of(record))


def _stretches(folder: LogFolder, state: LogState, since_ms: int) -> Iterator[Stretch]:
    """The parts of a log that the index lacks, but for segments that ended before `since_ms`."""
    place = place_before(folder, state.complete) or folder.oldest()
    if place is None:
        return
    names = [name for name in folder.segments() if name.number >= place.segment]
    opened = [opened_ms(folder, name) for name in names]
    for at, name in enumerate(names):
        is_newest = at == len(names) - 1
        # its own beginning and its end, which comes first if the clock was set back
        times = opened[at : at + 2]
        if is_newest or any(ms is None or ms >= since_ms for ms in times):
            start = place if name.number == place.segment else name.start
            yield Stretch(opened[at] or since_ms, folder, start, state.generation, state.complete, is_newest)


def _steps(stretch: Stretch) -> Iterator[Block | Finding]:
    """The blocks of a stretch, and what is damaged in it."""
    with closing(Reader(stretch.folder, stretch.start)) as reader:
        for step in read_on(reader):
            if isinstance(step, Block) and step.header.segment != stretch.start.segment:
                return
            yield step
