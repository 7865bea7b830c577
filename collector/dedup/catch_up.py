"""Completes the index from the logs of the node: each id that they hold within its window, within the bounds.

A worker calls it before it serves, and after its windows have grown. Logs that other processes write to are read as
every reader does. The last block of a log may not be fsynced yet, so what is read counts as durable only up to it.
"""

import os
from typing import NamedTuple

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
from collector.dedup.layout import LogState
from collector.dedup.reading import Ending, Reading
from collector.dedup.store import IndexStore
from collector.dedup.windows import Windows, has_grown, longest, read_windows, write_windows
from wal.errors import WalError
from wal.files import Files
from wal.folder import LogFolder


class CaughtUp(NamedTuple):
    """The number of ids that were read and that the index has room for, and the faults of logs that can't be read."""

    added: int
    faults: tuple[str, ...]


def catch_up(index: DedupIndex, directory: str, windows: Windows, now_ms: int) -> CaughtUp:
    """Complete the index from the shards 00, 01, … in `directory`. Blocks, for any thread.

    The index has one place for an id: that of its last event. If a crash or a restore loses this one, an earlier event
    of the same id, which only a window that has grown since covers, is not known. Raises IndexLost, OSError.
    """
    store = index.store
    with store.exclusive():
        epoch = _adopt(store, windows)
        folders, faults = _folders(store, directory)
        logs = [(folder, _log_state(store, folder.log_id)) for folder in folders]
        reading = Reading(index.entries, windows, now_ms, faults)
        reading.read_all(logs, now_ms - longest(windows))
        for folder, state in logs:
            if ending := reading.endings.get(folder.log_id):
                _conclude(store, folder.log_id, state, ending)
        index.epoch = epoch
    return CaughtUp(reading.added, tuple(faults))


def _adopt(store: IndexStore, windows: Windows) -> int:
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


def _folders(store: IndexStore, directory: str) -> tuple[list[LogFolder], list[str]]:
    """The logs below a directory, and the faults of those without a known id. Forgets logs that are gone."""
    with store.transaction() as txn:
        known = set(all_logs(store, txn))  # before the folders are listed: no log that is created now is taken for gone
    folders, faults = [], []
    files = Files()
    shards = [LogFolder(files, os.path.join(directory, name)) for name in files.names(directory) if name.isdecimal()]
    logs = [folder for folder in shards if folder.is_log()]
    ids: set[bytes] = set()
    for folder in logs:
        try:
            if folder.log_id in ids:
                faults.append(f"{folder.path}: a copy of another log here; move it out of this folder")
                continue
        except (WalError, OSError) as error:
            faults.append(f"{folder.path}: {error}")
            continue
        ids.add(folder.log_id)
        folders.append(folder)
    known -= ids
    if not faults:
        with store.transaction() as txn:
            for log_id in known:
                forget_log(store, txn, log_id)
    return folders, faults


def _log_state(store: IndexStore, log_id: bytes) -> LogState:
    """The state of a log in the index. A log that it does not know gets its first generation."""
    with store.transaction() as txn:
        state = read_log(store, txn, log_id)
        if state is None:
            state = LogState(start_generation(store, txn, log_id, 0, 0), 0, 0)
    return state


def _conclude(store: IndexStore, log_id: bytes, state: LogState, ending: Ending) -> None:
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
