"""Completes the index from the logs of the node: each id that they hold within its window, within the bounds.

A worker calls it before it serves, and after its windows have grown. Logs that other processes write to are read as
every reader does. The last block of a log may not be fsynced yet, so what is read counts as durable only up to it.
"""

import os
import time
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

from collector.dedup.generations import (
    all_logs,
    forget_log,
    read_log,
    read_meta,
    start_generation,
    write_log,
    write_meta,
)
from collector.dedup.index import DedupIndex
from collector.dedup.layout import TIME_SHIFT, Entry, LogState, key
from collector.dedup.scan import Found, found_in
from collector.dedup.store import Store
from collector.dedup.windows import Windows, has_grown, longest, read_windows, window_of, write_windows
from wal.errors import WalError
from wal.files import Files
from wal.folder import LogFolder, find_logs
from wal.format import Position
from wal.reader import Reader
from wal.seek import place_before
from wal.segment import Block
from wal.tools.listing import opened_ms
from wal.tools.verify import Finding, read_on

_YIELD_SECONDS: Final = 1e-5
"""Pause after a transaction. Without it a thread that claims would not get its turn."""
_SPREAD_BITS: Final = 12
"""The orders of two logs in the same ms begin at different numbers, so that a free one is found at once."""


class CaughtUp(NamedTuple):
    """The number of ids that were added, and the faults of logs that could not be read whole."""

    added: int
    faults: tuple[str, ...]


class Stretch(NamedTuple):
    """A part of a log to read: one segment, which was created at `opened_ms`, from `start` on."""

    opened_ms: int
    folder: LogFolder
    start: Position
    generation: int
    is_newest: bool
    """Whether the log ends in it."""


class Ending(NamedTuple):
    """Where a log ends, and the sequence before which its events are fsynced."""

    sequence: int
    proven: int


def catch_up(index: DedupIndex, directory: str, windows: Windows, now_ms: int) -> CaughtUp:
    """Complete the index from the logs in the folders below `directory`. Blocks, for any thread.

    Raises IndexLost, OSError.
    """
    store = index.store
    with store.exclusive():
        epoch = _adopt(store, windows)
        folders, faults = _folders(store, directory)
        logs = [(folder, _log_state(store, folder.log_id)) for folder in folders]
        reading = _Reading(index, windows, now_ms, faults)
        reading.read_all(logs, now_ms - longest(windows))
        for folder, state in logs:
            if ending := reading.endings.get(folder.log_id):
                _conclude(store, folder.log_id, state, ending)
        index.epoch = epoch
    return CaughtUp(reading.added, tuple(faults))


class _Reading:
    """Reads logs into the index. The newest segments come first, so that older ones are left out once it is full."""

    def __init__(self, index: DedupIndex, windows: Windows, now_ms: int, faults: list[str]) -> None:
        self.added = 0
        self.endings: dict[bytes, Ending] = {}
        self._entries = index.entries
        self._windows = windows
        self._now_ms = now_ms
        self._faults = faults
        self._is_full = False

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
        for stretch in sorted(stretches, key=lambda each: each.opened_ms, reverse=True):
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
        found = (each for each in found_in(block.payload, stretch.folder.log_id) if self._is_remembered(each[1]))
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
            time.sleep(_YIELD_SECONDS)
        return results

    def _is_remembered(self, record: Found) -> bool:
        return self._now_ms - record.received_at < self._window_of(record)

    def _window_of(self, record: Found) -> int:
        return window_of(self._windows, record.portal_id, record.prop_id, record.dialect)

    def _add_one(self, stretch: Stretch, sequence: int, record: Found) -> bool:
        spread = zlib.crc32(stretch.folder.log_id) % (1 << (TIME_SHIFT - _SPREAD_BITS)) << _SPREAD_BITS
        order = (record.received_at << TIME_SHIFT) + spread
        entry = Entry(record.received_at, sequence, order, stretch.generation)
        return self._entries.add(key(record.portal_id, record.prop_id, record.event_id), entry, self._window_of(record))


def _adopt(store: Store, windows: Windows) -> int:
    """Make these the windows of the index; return their epoch. If one has grown, the logs must be read again."""
    path = os.path.join(store.path, "windows")
    old = read_windows(path)
    with store.transaction() as txn:
        meta = read_meta(store, txn)._replace(longest_ms=longest(windows))
        if old is None or has_grown(old, windows):
            meta = meta._replace(epoch=meta.epoch + 1)
            for log_id, log in all_logs(store, txn).items():
                write_log(store, txn, log_id, log._replace(complete=0))
        write_meta(store, txn, meta)
    if old != windows:
        write_windows(path, windows)
    return meta.epoch


def _folders(store: Store, directory: str) -> tuple[list[LogFolder], list[str]]:
    """The logs below a directory, and the faults of those without a known id. Forgets logs that are gone."""
    with store.transaction() as txn:
        known = set(all_logs(store, txn))  # before the folders are listed: no log that is created now is taken for gone
    folders, faults = [], []
    try:
        logs = find_logs(Files(), directory)
    except FileNotFoundError:
        logs = []
    for folder in logs:
        try:
            known.discard(folder.log_id)
            folders.append(folder)
        except (WalError, OSError) as error:
            faults.append(f"{folder.path}: {error}")
    if not faults:
        with store.transaction() as txn:
            for log_id in known:
                forget_log(store, txn, log_id)
    return folders, faults


def _log_state(store: Store, log_id: bytes) -> LogState:
    """What the index knows of a log. A log that it does not know gets its first generation."""
    with store.transaction() as txn:
        state = read_log(store, txn, log_id)
        if state is None:
            state = LogState(start_generation(store, txn, log_id, 0, 0), 0, 0)
    return state


def _stretches(folder: LogFolder, state: LogState, since_ms: int) -> Iterator[Stretch]:
    """The parts of a log that the index lacks, but for segments that ended before `since_ms`."""
    place = place_before(folder, state.complete) or folder.oldest()
    if place is None:
        return
    names = [name for name in folder.segments() if name.number >= place.segment]
    opened = [opened_ms(folder, name) for name in names]
    for at, name in enumerate(names):
        is_newest = at == len(names) - 1
        ended_ms = None if is_newest else opened[at + 1]
        if ended_ms is None or ended_ms >= since_ms:
            start = place if name.number == place.segment else name.start
            yield Stretch(opened[at] or since_ms, folder, start, state.generation, is_newest)


def _steps(stretch: Stretch) -> Iterator[Block | Finding]:
    """The blocks of a stretch, and what is damaged in it."""
    reader = Reader(stretch.folder, stretch.start)
    try:
        for step in read_on(reader):
            if isinstance(step, Block) and step.header.segment != stretch.start.segment:
                return
            yield step
    finally:
        reader.close()


def _conclude(store: Store, log_id: bytes, state: LogState, ending: Ending) -> None:
    """Note how far a log was read. One that is shorter than known was restored, so its sequences are used again."""
    with store.transaction() as txn:
        log = read_log(store, txn, log_id)
        if log is None or log.generation != state.generation:  # its worker has opened it meanwhile, and knows better
            return
        if ending.sequence < state.durable:
            start_generation(store, txn, log_id, ending.sequence, ending.proven)
            return
        durable, complete = max(log.durable, ending.proven), max(log.complete, ending.proven)
        write_log(store, txn, log_id, log._replace(durable=durable, complete=complete))
