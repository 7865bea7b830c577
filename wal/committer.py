"""Group commit: appends from coroutines, made durable a block at a time.

The event loop owns the queue and the commit thread owns the `Log`. One block at a time goes to the thread and comes
back; appends that arrive during an fsync form the next block.
"""

import asyncio
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Final

from wal.backlog import BLOCK_BYTES, MAX_WAITING_BYTES, Backlog
from wal.commit_thread import CommitThread
from wal.errors import LogClosed, LogFull, LogPoisoned, WalError
from wal.format import Position, check_lines
from wal.idle_timer import IDLE_SECONDS, IdleTimer
from wal.log import Log
from wal.pending_block import PendingBlock

STALL_SECONDS: Final = 1.0
MAX_COMMIT_DELAY: Final = 2.0
"""How long a block may grow instead of being committed, as a multiple of the last commit's duration."""
_NEARLY_FULL: Final = 0.5
"""Above this pressure the committer checks the disk for room by itself, since clients may be turned away by then."""


class State(Enum):
    """The states of a committer."""

    IDLE = "idle"
    GROWING = "growing"
    COMMITTING = "committing"
    DELAYING = "delaying"
    CLOSED = "closed"


class Committer:
    """Appends from coroutines to a `Log`. Create it inside the event loop that will use it.

               append              stops growing              had several appends
        IDLE -----------> GROWING ----------------> COMMITTING ---------------------> DELAYING
          ^                   ^                         | had one, or none                |
          |                   +------- appends wait ----+<-- COMMIT_DELAY_SECONDS over ---+
          +--------------------------- none wait -------+                  seal done: CLOSED

    In GROWING, a block grows while each turn of the event loop adds appends, up to MAX_COMMIT_DELAY; a full block
    skips the state. DELAYING lets the clients that were just answered into the next block. A client that sends alone,
    and waits for each response, never waits there. After a pause, IDLE or DELAYING goes to COMMITTING without appends,
    for an idle block; at `close` likewise for the seal.

    Whether appends are accepted is a second question, since blocks are still committed while closing. `_refusal` is
    the error that an append raises:

        None --close()--> LogClosed --an fsync failed--> LogPoisoned
          +----------------an fsync failed------------------^          everything that waits fails, too
    """

    def __init__(
        self,
        log: Log,
        *,
        stall_seconds: float = STALL_SECONDS,
        on_poisoned: Callable[[LogPoisoned], None] | None = None,
    ) -> None:
        """While a commit takes longer than `stall_seconds`, new appends are refused; earlier ones keep waiting.

        `on_poisoned` is called once, in the event loop, when an fsync has failed and only a restart helps.
        """
        self.log = log
        self.durable: Position = log.end
        """Every event before this place is fsynced. A reader must not ship events after it."""
        self.next_sequence = log.end.sequence
        """The sequence of the next event that is appended."""
        self.state = State.IDLE
        self.on_commit: Callable[[int, float, float], None] = lambda *_: None
        """Called after each block of events with their number, and the seconds of the commit and of its fsync."""
        self.on_failed: Callable[[int], None] = lambda _: None  # with the next sequence, which is used again
        self._stall_seconds = stall_seconds
        self._on_poisoned = on_poisoned
        self._loop = asyncio.get_running_loop()
        self._refusal: WalError | None = None
        self._backlog = Backlog(self._loop)
        self._in_flight: PendingBlock | None = None
        """The block that the thread has, while COMMITTING."""
        self._commit_seconds = 0.0
        self._moved = asyncio.Event()
        self._started = self._loop.time()
        self._idle_timer = IdleTimer(self._mark_idle)
        self._closing: asyncio.Future[None] | None = None
        self._thread = CommitThread(log.folder.path, self._finish, self._dispatch)

    def append(self, lines: bytes, records: int = 1) -> asyncio.Future[None]:
        """Queue `records` JSON lines, each ending in LF, for the next block.

        Their sequences start at `next_sequence` as it was. The future is done when the block is fsynced, or fails with
        the error that prevented it. Raises LogFull, LogClosed, LogPoisoned, RecordTooLarge, ValueError.
        """
        if self._refusal is not None:
            raise self._refusal.anew()
        length = len(lines)
        check_lines(lines, records, length)
        if self._in_flight is not None and (waited := self._loop.time() - self._started) > self._stall_seconds:
            raise LogFull(f"{self.log.folder.path}: the disk has not answered for {waited:.1f} s; try again later")
        backlog = self._backlog
        if backlog.length + length > MAX_WAITING_BYTES:
            raise LogFull(f"{self.log.folder.path}: {backlog.length} bytes wait for the disk; try again later")
        block = backlog.open
        if block is None or block.length + length > BLOCK_BYTES:
            block = self._open_block()
        block.lines.append(lines)
        block.length += length
        block.records += records
        backlog.length += length
        self.next_sequence += records
        return block.future

    @property
    def pressure(self) -> float:
        """How close the next append is to being refused, from 0 to 1: by waiting bytes, a slow disk or a full one."""
        waiting, room = self._backlog.length / MAX_WAITING_BYTES, self.log.room.pressure
        most = waiting if waiting > room else room  # half the time of `max`: most requests ask
        return most if self._in_flight is None else max(most, (self._loop.time() - self._started) / self._stall_seconds)

    @property
    def is_poisoned(self) -> bool:
        """Whether an fsync has failed, so that only a restart helps."""
        return isinstance(self._refusal, LogPoisoned)

    @property
    def is_stalled(self) -> bool:
        """Whether the disk has not answered for `stall_seconds`, so that appends are refused."""
        return self._in_flight is not None and self._loop.time() - self._started > self._stall_seconds

    def look(self) -> None:
        """Have the thread look at the room on the disk, unless it commits or is about to: then it looks by itself.

        A disk that does not answer counts as a stall, as for a commit.
        """
        if self.state is State.IDLE and self._refusal is None:
            self._start(self.log.look, PendingBlock(self._loop))

    async def wait_beyond(self, position: Position) -> None:
        """Return once `durable` is after `position`."""
        while self.durable <= position:
            await self._moved.wait()

    async def close(self) -> None:
        """Refuse new appends, commit those that wait, seal the log and end the thread. The log stays locked.

        Idempotent. Raises LogFull if the disk had no room for the idle block, and LogPoisoned if an fsync failed;
        everything that was acknowledged is safe all the same.
        """
        self._refusal = self._refusal or LogClosed(f"{self.log.folder.path}: this process is stopping")
        self._idle_timer.stop()
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
            await self._closing
        else:
            await asyncio.wait([self._closing])

    async def _close(self) -> None:
        while block := self._in_flight or self._backlog.last:
            await asyncio.wait([block.future])
        seal = PendingBlock(self._loop)
        self._start(self.log.seal, seal)
        try:
            await seal.future
        finally:
            self._thread.end()
            self.state = State.CLOSED

    def _open_block(self) -> PendingBlock:
        block = self._backlog.open_block()
        if self.state is State.IDLE:
            # Not started at once: the other appends of this turn of the event loop share the fsync.
            self.state = State.GROWING
            self._loop.call_soon(self._dispatch)
        return block

    def _dispatch(self) -> None:
        """Start the commit of the next block, unless it is still growing."""
        if self.state is State.COMMITTING:  # an idle block or the seal overtook the end of the delay
            return
        if not self._backlog:
            self.state = State.IDLE
        elif block := self._backlog.take(MAX_COMMIT_DELAY * self._commit_seconds):
            self._start(partial(self._commit, block), block)
        else:
            self.state = State.GROWING
            self._loop.call_soon(self._dispatch)

    def _start(self, action: Callable[[], None], block: PendingBlock) -> None:
        self.state = State.COMMITTING
        self._in_flight = block
        self._started = self._loop.time()
        self._thread.start(action, block)

    def _commit(self, block: PendingBlock) -> None:
        self.log.commit(b"".join(block.lines), block.records)

    def _finish(self, block: PendingBlock, fault: WalError | None) -> None:
        """Take a block back. The thread does nothing now, so the log may be read here."""
        self.state = State.DELAYING if len(block.lines) > 1 else State.IDLE
        self._in_flight = None
        self._backlog.length -= block.length
        self.durable = self.log.end
        if fault is None:
            self._succeed(block)
        else:
            self._fail(block, fault)
        if self.log.room.pressure > _NEARLY_FULL:
            self._idle_timer.plan()
        if self.state is State.IDLE:
            self._dispatch()

    def _succeed(self, block: PendingBlock) -> None:
        block.resolve(None)
        self._moved.set()
        self._moved.clear()  # wakes those that wait now, and no later one
        now = self._loop.time()
        self._idle_timer.committed(now)
        if block.records:
            self._commit_seconds = now - self._started
            self._idle_timer.plan()
            self.on_commit(block.records, block.seconds, self.log.sync_seconds)
        elif (rotates_in := self.log.rotates_in) is not None:
            self._idle_timer.plan(max(rotates_in, IDLE_SECONDS))

    def _fail(self, block: PendingBlock, fault: WalError) -> None:
        """Fail all waiting appends too, because the sequences in their records now stay unused."""
        block.resolve(fault)
        if block.records or isinstance(fault, LogPoisoned):
            self._backlog.fail(fault)
            self.next_sequence = self.durable.sequence
            self.on_failed(self.next_sequence)
        if isinstance(fault, LogPoisoned):
            was_poisoned = isinstance(self._refusal, LogPoisoned)
            self._refusal = fault.anew()
            self._idle_timer.stop()
            if self._on_poisoned and not was_poisoned:
                self._on_poisoned(fault)
        elif not block.records:
            self._idle_timer.plan()  # there was no room for the idle block: try again

    def _mark_idle(self) -> None:
        if self._in_flight or self._backlog:
            self._idle_timer.plan()
        else:
            self._start(self.log.mark_idle, PendingBlock(self._loop))
