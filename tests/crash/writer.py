"""A writer to be crashed: appends numbered events to a log, and reports on stdout, a line at once for each step.

`sent A B` before the events from A up to B are handed over, then `acknowledged A B`, `refused A B` or `poisoned A B`;
`delivered A` before a consumer's cursor passes all events below A, whose segments may then go.
Each event carries the sequence that it was promised, as the collector's event ids do.
"""

import argparse
import asyncio
import ctypes
import os
import random
import resource
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from typing import Final

from wal.committer import Committer
from wal.cursor import Cursor
from wal.errors import LogPoisoned, WalError
from wal.files import Files
from wal.format import Position
from wal.log import Log
from wal.page_cache import evict_from_page_cache
from wal.sealed import drop_segments

FINISHED: Final = 0
POISONED: Final = 4
UNOPENED: Final = 5
UNSEALED: Final = 6
CONSUMER: Final = "sink"
_EVENTS_A_BLOCK: Final = 5
_APPENDS_AT_ONCE: Final = 6
_BLOCKS_BEHIND: Final = 6
_BLOCKS_BETWEEN_PAUSES: Final = 5
_PAUSE_SECONDS: Final = 0.12
"""Longer than the committer waits before it writes an empty block."""
_TRIES_AFTER_POISON: Final = 3
_PR_SET_PTRACER: Final = 0x59616D61
_SHORT_BYTES: Final = 300


class UnsyncedFiles(Files):
    """The liar that the power-cut test must find out: says that it synced, and did not."""

    def sync(self, descriptor: int) -> None: ...

    def sync_all(self, descriptor: int) -> None: ...

    def sync_names(self, descriptor: int) -> None: ...


class ShortFiles(Files):
    """Every write takes a part of what it is given, as a write may."""

    def write(self, descriptor: int, buffers: Sequence[bytes]) -> int:
        return super().write(descriptor, [b"".join(buffers)[:_SHORT_BYTES]])


_FILES: Final[dict[str, type[Files]]] = {"plain": Files, "unsynced": UnsyncedFiles, "short": ShortFiles}


def main() -> int:
    """Write as told; returns the exit code."""
    options = _parser().parse_args()
    if options.wait:
        _let_anyone_trace()
        _report("ready")
        sys.stdin.readline()
    if options.file_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (options.file_bytes, options.file_bytes))
    try:
        log = Log(options.directory, segment_bytes=options.segment_bytes, files=_FILES[options.files]())
    except (WalError, OSError) as error:
        _report(f"unopened {error!r}")
        return UNOPENED
    events = Events(log, options.first, options.event_bytes)
    if options.through == "committer":
        return asyncio.run(_write_through_committer(log, events, options.blocks))
    return _write(log, events, options.blocks)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory")
    parser.add_argument("--through", choices=["log", "committer"], default="log")
    parser.add_argument("--blocks", type=int, default=0, help="how many blocks, or windows of appends; 0: no end")
    parser.add_argument("--first", type=int, default=1, help="number of the first event")
    parser.add_argument("--event-bytes", type=int, default=200)
    parser.add_argument("--segment-bytes", type=int, default=2000)
    parser.add_argument("--file-bytes", type=int, default=0, help="the process's limit on the size of a file")
    parser.add_argument("--wait", action="store_true", help="say `ready`, and begin when there is a line on stdin")
    parser.add_argument("--files", choices=list(_FILES), default="plain")
    return parser


def _let_anyone_trace() -> None:
    """Where Yama restricts ptrace, strace may trace a process that is not its child only if told so."""
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)


class Events:
    """Numbers events, and plays the consumer that stays some blocks behind."""

    def __init__(self, log: Log, first: int, event_bytes: int) -> None:
        self.next = first
        self._log = log
        self._event_bytes = event_bytes
        self._random = random.Random(first)
        self._places: deque[tuple[Position, int]] = deque()

    def block(self, sequence: int) -> tuple[str, bytes, int]:
        """Some events, the first of which has this sequence: their range for the report, their lines, their number."""
        first = self.next
        records = self._random.randint(1, _EVENTS_A_BLOCK)
        self.next += records
        lines = [self._line(number, sequence + at) for at, number in enumerate(range(first, self.next))]
        span = f"{first} {self.next}"
        _report(f"sent {span}")
        return span, b"".join(lines), records

    def deliver(self, end: Position) -> None:
        """Move the cursor to what was `end`, the durable place, some calls ago, and let go of what it has passed."""
        self._places.append((end, self.next))
        if len(self._places) <= _BLOCKS_BEHIND:
            return
        place, number = self._places.popleft()
        log = self._log
        _report(f"delivered {number}")
        try:
            log.folder.save_cursor(CONSUMER, Cursor(place))
            evict_from_page_cache(log.folder, Position(0, 0, 0), place)
            drop_segments(log.folder, expected=[CONSUMER], keep_ms=0, keep_bytes=0)
        except (WalError, OSError) as error:
            _report(f"undelivered {error!r}")

    def _line(self, number: int, sequence: int) -> bytes:
        text = "x" * self._random.randrange(self._event_bytes)
        return b'{"number":%d,"sequence":%d,"text":"%b"}\n' % (number, sequence, text.encode())


def _write(log: Log, events: Events, blocks: int) -> int:
    for done in count(1):
        try:
            _commit(log, events)
            if done % _BLOCKS_BETWEEN_PAUSES == 0:
                log.mark_idle()
        except LogPoisoned:
            return _try_again(log, events)
        except WalError as fault:
            _report(f"full {fault}")
        events.deliver(log.end)
        if done == blocks:
            break
    return _end(log)


def _commit(log: Log, events: Events) -> None:
    span, lines, records = events.block(log.end.sequence)
    try:
        log.commit(lines, records)
    except WalError as fault:
        _report(_failed(span, fault))
        raise
    _report(f"acknowledged {span}")


def _failed(span: str, fault: WalError) -> str:
    return f"{'poisoned' if isinstance(fault, LogPoisoned) else 'refused'} {span} {fault}"


def _try_again(log: Log, events: Events) -> int:
    """Nothing may be acknowledged any more."""
    for _ in range(_TRIES_AFTER_POISON):
        with suppress(LogPoisoned):
            _commit(log, events)
    return POISONED


def _end(log: Log) -> int:
    try:
        log.seal()
    except WalError as fault:
        _report(f"unsealed {fault}")
        return UNSEALED
    log.close()
    return FINISHED


async def _write_through_committer(log: Log, events: Events, windows: int) -> int:
    committer = Committer(log)
    for done in count(1):
        appends = [_append(committer, events, turns) for turns in range(_APPENDS_AT_ONCE)]
        faults = await asyncio.gather(*appends)
        if any(isinstance(fault, LogPoisoned) for fault in faults):
            await asyncio.gather(*(_append(committer, events, 0) for _ in range(_TRIES_AFTER_POISON)))
            return POISONED
        if done % _BLOCKS_BETWEEN_PAUSES == 0:
            await asyncio.sleep(_PAUSE_SECONDS)
        events.deliver(committer.durable)
        if done == windows:
            break
    try:
        await committer.close()
    except WalError as fault:
        _report(f"unsealed {fault}")
        return UNSEALED
    log.close()
    return FINISHED


async def _append(committer: Committer, events: Events, turns: int) -> WalError | None:
    """Append after so many turns of the event loop, so that a window makes several blocks."""
    for _ in range(turns):
        await asyncio.sleep(0)
    span, lines, records = events.block(committer.next_sequence)
    try:
        await committer.append(lines, records)
        _report(f"acknowledged {span}")
    except WalError as fault:
        _report(_failed(span, fault))
        return fault
    return None


def _report(line: str) -> None:
    os.write(1, f"{line}\n".encode())


if __name__ == "__main__":
    sys.exit(main())
