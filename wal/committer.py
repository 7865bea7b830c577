"""Group commit: the only thread and the only asyncio of the log.

The event loop owns the queue, the thread owns the `Log`, and one block at a time goes from one to the other and
back: whatever queues up during an fsync is the next block. That one leaves after a breath, once a turn of the event
loop has added nothing to it: those whom the last block has answered are in it again, and half as many blocks cost half
as much. Who sends alone, and waits for each answer, waits for no breath.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Final

from wal.errors import LogClosed, LogFull, LogPoisoned, RecordTooLarge, WalError
from wal.format import MAX_BLOCK_BYTES, MAX_LINE_BYTES, Position, count_lines
from wal.log import Log

STALL_SECONDS: Final = 1.0
_BLOCK_BYTES: Final = 1 << 20
"""Where a block stops taking more appends; a single larger append is a block of its own."""
_WAITING_BYTES: Final = 64 << 20
_BREATH_SECONDS: Final = 0.0003
"""Between two blocks, where the first has several appends. `python -m bench connections delay` shows what it brings."""
_GATHERING: Final = 2.0
"""For how many times the last commit's time a block may go on growing when it could leave."""
_IDLE_SECONDS: Final = 0.1
_NEARLY_FULL: Final = 0.5
"""From this fullness of the log on, its idle thread looks for room: appends, which would, may be kept away by then."""


class _Shared(asyncio.Future[None]):
    """What all appends of a block wait for: one of them that is cancelled does not take it from the others."""

    def cancel(self, msg: object = None) -> bool:  # noqa: ARG002
        return False


class _Block:
    """Appends that are committed together, and the future that all of them wait for."""

    __slots__ = ("future", "leaves", "length", "lines", "records", "seen")

    def __init__(self, future: asyncio.Future[None]) -> None:
        self.future = future
        self.lines: list[bytes] = []
        self.length = 0
        self.records = 0
        self.seen = 0
        """The records that it had a turn of the event loop ago."""
        self.leaves = 0.0
        """When it leaves at the latest, by the event loop's clock."""


class Committer:
    """Appends from coroutines to a `Log`. Create it inside the event loop that will use it."""

    def __init__(
        self,
        log: Log,
        *,
        stall_seconds: float = STALL_SECONDS,
        on_poisoned: Callable[[LogPoisoned], None] | None = None,
    ) -> None:
        """While a commit takes longer than `stall_seconds`, new appends are refused; those that wait go on waiting.

        `on_poisoned` is called once, in the event loop, when an fsync has failed and only a restart helps.
        """
        self.log = log
        self.durable: Position = log.end
        """Every event before this place is fsynced; a reader ships none behind it."""
        self.next_sequence = log.end.sequence
        """The sequence of the next event that is appended."""
        self._stall_seconds = stall_seconds
        self._on_poisoned = on_poisoned
        self._loop = asyncio.get_running_loop()
        self._refusal: WalError | None = None
        self._waiting: deque[_Block] = deque()
        self._waiting_bytes = 0
        self._open: _Block | None = None
        self._in_flight: _Block | None = None
        self._is_scheduled = False
        self._took = 0.0
        self._moved: set[asyncio.Future[None]] = set()
        self._last_commit = self._started = self._loop.time()
        self._tidy_timer: asyncio.TimerHandle | None = None
        self._closing: asyncio.Future[None] | None = None
        self._jobs: SimpleQueue[tuple[Callable[[], None], _Block] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"commit {log.folder.path}", daemon=True)
        self._thread.start()

    def append(self, lines: bytes, records: int = 1) -> asyncio.Future[None]:
        """Queue `records` JSON lines, each ending in LF, for the next block.

        The first of them has the sequence that `next_sequence` had before the call. The future is done when the block
        is fsynced, or fails with what kept it out of the log. Raises LogFull, LogClosed, LogPoisoned, RecordTooLarge,
        and ValueError for bytes that are not such lines, as far as their number and both ends of the bytes tell.
        """
        if self._refusal is not None:
            raise self._refusal.anew()
        length = len(lines)
        _check(lines, records, length)
        if self._in_flight is not None and (waited := self._loop.time() - self._started) > self._stall_seconds:
            raise LogFull(f"{self.log.folder.path}: the disk has not answered for {waited:.1f} s; try again later")
        if self._waiting_bytes + length > _WAITING_BYTES:
            raise LogFull(f"{self.log.folder.path}: {self._waiting_bytes} bytes wait for the disk; try again later")
        block = self._open
        if block is None or block.length + length > _BLOCK_BYTES:
            block = self._open = _Block(_Shared(loop=self._loop))
            self._waiting.append(block)
            if self._in_flight is None and not self._is_scheduled:
                # Not at once: what the event loop has at hand in this turn shares the fsync.
                self._is_scheduled = True
                self._loop.call_soon(self._dispatch)
        block.lines.append(lines)
        block.length += length
        block.records += records
        self._waiting_bytes += length
        self.next_sequence += records
        return block.future

    @property
    def fullness(self) -> float:
        """How close the next append is to being refused, from 0 to 1: by waiting bytes, a slow disk or a full one."""
        stalled = (self._loop.time() - self._started) / self._stall_seconds if self._in_flight is not None else 0.0
        return max(self._waiting_bytes / _WAITING_BYTES, self.log.fullness, stalled)

    async def wait_beyond(self, position: Position) -> None:
        """Return once `durable` is beyond `position`, at once if it is."""
        while self.durable <= position:
            moved: asyncio.Future[None] = self._loop.create_future()
            self._moved.add(moved)
            try:
                await moved
            finally:
                self._moved.discard(moved)

    async def close(self) -> None:
        """Refuse new appends, commit what waits, seal the log and end the thread. The log stays locked.

        Idempotent. Raises LogFull where the disk had no room for the proof and LogPoisoned where an fsync failed; what
        was acknowledged is safe all the same.
        """
        self._refusal = self._refusal or LogClosed(f"{self.log.folder.path}: this process is stopping")
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
            await self._closing
        else:
            await asyncio.wait([self._closing])

    async def _close(self) -> None:
        while block := self._in_flight or (self._waiting[-1] if self._waiting else None):
            await asyncio.wait([block.future])
        if self._tidy_timer:
            self._tidy_timer.cancel()
        last = _Block(_Shared(loop=self._loop))
        self._start(self.log.seal, last)
        try:
            await last.future
        finally:
            self._jobs.put(None)
            self._thread.join()

    def _dispatch(self) -> None:
        self._is_scheduled = False
        if self._in_flight is None and self._waiting:
            block = self._waiting[0]
            if block is self._open:
                if self._is_growing(block):
                    self._is_scheduled = True
                    self._loop.call_soon(self._dispatch)
                    return
                self._open = None
            self._waiting.popleft()
            self._start(partial(self._commit, block), block)

    def _is_growing(self, block: _Block) -> bool:
        """Whether a block had more appends since it was asked last, and has not been asked for too long."""
        now = self._loop.time()
        if not block.seen:
            block.leaves = now + _GATHERING * self._took
        is_larger, block.seen = block.records > block.seen, block.records
        return is_larger and now < block.leaves

    def _start(self, action: Callable[[], None], block: _Block) -> None:
        self._in_flight = block
        self._started = self._loop.time()
        self._jobs.put((action, block))

    def _commit(self, block: _Block) -> None:
        self.log.commit(b"".join(block.lines), block.records)

    def _work(self) -> None:
        while job := self._jobs.get():
            self._do(*job)
            del job  # or it, and all that its error refers to, would be held until the next one

    def _do(self, action: Callable[[], None], block: _Block) -> None:
        fault: WalError | None = None
        try:
            action()
        except WalError as error:
            fault = error
        except Exception as error:
            fault = LogPoisoned(f"{self.log.folder.path}: {error!r} in the commit thread; restart to recover")
        self._loop.call_soon_threadsafe(self._finish, block, fault)
        if len(block.lines) > 1:
            time.sleep(_BREATH_SECONDS)
            self._loop.call_soon_threadsafe(self._dispatch)

    def _finish(self, block: _Block, fault: WalError | None) -> None:
        """Back in the event loop, while the thread waits: nobody else looks at the log now."""
        self._in_flight = None
        self._waiting_bytes -= block.length
        self.durable = self.log.end
        if fault is None:
            _resolve(block, None)
            for moved in self._moved:
                if not moved.done():
                    moved.set_result(None)
            self._last_commit = self._loop.time()
            self._took = self._last_commit - self._started
            rotates_in = self.log.rotates_in
            if block.records:
                self._tidy_later(_IDLE_SECONDS)
            elif rotates_in is not None:
                self._tidy_later(max(rotates_in, _IDLE_SECONDS))
        else:
            self._fail(block, fault)
        if self.log.fullness > _NEARLY_FULL:
            self._tidy_later(_IDLE_SECONDS)
        if len(block.lines) > 1:
            self._is_scheduled = True  # by the thread, after its breath
        else:
            self._dispatch()

    def _fail(self, block: _Block, fault: WalError) -> None:
        """Refuse all that waits too, since its records carry sequences that now stay unused."""
        _resolve(block, fault)
        if block.records or isinstance(fault, LogPoisoned):
            for waiting in self._waiting:
                _resolve(waiting, fault)
            self._waiting.clear()
            self._open = None
            self._waiting_bytes = 0
            self.next_sequence = self.durable.sequence
        if isinstance(fault, LogPoisoned):
            is_told = isinstance(self._refusal, LogPoisoned)
            self._refusal = fault.anew()
            if self._on_poisoned and not is_told:
                self._on_poisoned(fault)
        elif not block.records:
            self._tidy_later(_IDLE_SECONDS)  # the proof that found no room is tried again

    def _tidy_later(self, seconds: float) -> None:
        """Tidy then, or earlier if that is planned already."""
        when = self._loop.time() + seconds
        if self._refusal is None and (self._tidy_timer is None or when < self._tidy_timer.when()):
            if self._tidy_timer:
                self._tidy_timer.cancel()
            self._tidy_timer = self._loop.call_at(when, self._tidy)

    def _tidy(self) -> None:
        self._tidy_timer = None
        quiet = self._loop.time() - self._last_commit
        if self._in_flight or self._waiting:
            self._tidy_later(_IDLE_SECONDS)
        elif quiet < _IDLE_SECONDS:
            self._tidy_later(_IDLE_SECONDS - quiet)
        else:
            self._start(self.log.mark_idle, _Block(_Shared(loop=self._loop)))


def _resolve(block: _Block, fault: WalError | None) -> None:
    if block.future.done():  # cancelled with one of the tasks that waited for it
        return
    if fault is None:
        block.future.set_result(None)
    else:
        block.future.set_exception(fault)
        block.future.exception()  # seen, even if nobody waits for this block


def _check(lines: bytes, records: int, length: int) -> None:
    if length > MAX_LINE_BYTES:
        if length > MAX_BLOCK_BYTES:
            raise RecordTooLarge(f"{length} bytes in one append, the limit is {MAX_BLOCK_BYTES}")
        if max(map(len, lines.split(b"\n"))) >= MAX_LINE_BYTES:
            raise RecordTooLarge(f"a line is over the limit of {MAX_LINE_BYTES} bytes")
    # To look at the ends of inner lines too would cost 0.5 us for each.
    are_counted = lines.find(b"\n") == length - 1 if records == 1 else count_lines(lines) == records
    if not are_counted or lines[:1] != b"{" or lines[-2:] != b"}\n":
        raise ValueError(f"not {records} lines of a JSON object each: {lines[:60]!r}")
