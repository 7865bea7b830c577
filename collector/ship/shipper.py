"""The shipper: takes one shard's log to one sink.

Order of durable steps: log fsync, intent fsync, send, sink confirms, cursor fsync. After a crash the intent is
delivered first, the same bytes under the same token. A batch that the sink refuses goes out in halves, each of them an
intent too, until the culprit stands alone; it goes to the dead letters, and the rest arrives.

The sink is not alone in failing: the log's files, the cursor's and the dead letters' fail too, for want of descriptors,
of room, or of a sound disk. All of it is tried again alike. What only a person can mend stops the sink.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from collector.acknowledgements import Acknowledgements
from collector.errors import BatchRefused, SinkError
from collector.process_log.of_sinks import SinkBehind, SinkElsewhere
from collector.ship.attempts import Attempts, Elsewhere, GivenUp, never
from collector.ship.batch import Batch, Record, slice_batch
from collector.ship.health import Health, SinkHealth
from collector.ship.presence import Presence
from collector.ship.sinks import Sink
from collector.ship.source import Source
from wal.committer import Committer
from wal.cursor import Cursor, Intent
from wal.errors import WalError
from wal.format import Position

_PATIENCE_SECONDS: Final = 10.0
"""An attempt may take this long before it shows; the time-outs of sinks are 30 to 60 s."""


class DeadLetterWriter(Protocol):
    """Where records go that a sink refused for good."""

    async def put(self, sink: str, event: Record, reason: str, *, maybe_again: bool) -> None:
        """Write a record with the sink's reason, durably. Raises WalError.

        With `maybe_again` it may be there already, and is then not written twice.
        """


class Shipper:
    """One sink's way through one log. `run` ends only after `drain`: all that is durable is delivered, or given up."""

    def __init__(
        self,
        name: str,
        sink: Sink,
        committer: Committer,
        dead_letters: DeadLetterWriter,
        *,
        flush_bytes: int,
        flush_seconds: float,
        patience_seconds: float = _PATIENCE_SECONDS,
    ) -> None:
        """`name` names the cursor. A batch is cut at `flush_bytes`, or when its oldest event waits `flush_seconds`.

        A sink that has not answered for `patience_seconds` is shown as one that waits.
        """
        self.name = name
        self.confirmed = Acknowledgements()
        self.passed: Position | None = None
        """Everything before this place is settled; None until this run has settled something."""
        self._sink = sink
        self._dead_letters = dead_letters
        self._log = committer.log
        self._source = Source(
            committer, name, flush_bytes=flush_bytes, flush_seconds=flush_seconds, before_pause=self._rest
        )
        self._sink_health = SinkHealth(name)
        self.presence = Presence(self._log.folder, self._sink_health, name, patience_seconds)
        self._attempts = Attempts(name, self._log.folder.path, self._sink_health, self.presence, self._close)
        self._is_open = False
        self._proven: tuple[int, str] | None = None
        """The mark that was found to be one of this log: its sequence and its chain."""
        self._skipped = 0
        self._may_be_written = False
        self._unsaved: Cursor | None = None

    @property
    def health(self) -> Health:
        """The state of the sink."""
        return self._sink_health.health

    def drain(self, gives_up: Callable[[], bool] = never) -> None:
        """Cut batches at once from now on. Call it when the committer is closed.

        `gives_up` is called after each failure, when no call to the sink is pending; if it is true, `run` ends there.
        """
        self._attempts.gives_up = gives_up
        self._source.drain()

    async def drained(self) -> None:
        """Return once `drain` was called."""
        await self._source.drained()

    async def run(self) -> None:
        """Deliver until drained. Raises Corrupt and Broken where a person must look, and whatever a bug raises."""
        if self._sink_health.health.state == "stopped":
            self._sink_health.restarted()
        await self.presence.show()
        is_done = False
        try:
            while not is_done:
                is_done = await self._ship()
        except GivenUp:
            pass  # the cursor on the disk says where the next run continues
        except Exception as error:
            self._sink_health.stopped(error)
            await self.presence.show()
            raise
        finally:
            self._source.close()
            await self._close()

    async def _ship(self) -> bool:
        """Deliver until drained, and return True; or until the sink wants to go on at another place."""
        cursor = await self._resume()
        try:
            if intent := cursor.intent:
                batch = await self._attempts.retry(partial(self._source.again, intent))
                cursor = await self._deliver(cursor, batch, intent)
            await self._deliver_from(cursor)
        except Elsewhere:
            await self._close()
            return False
        return True

    async def _deliver_from(self, cursor: Cursor) -> None:
        while found := await self._attempts.retry(partial(self._source.next, cursor.acked)):
            batch, intent = found
            if intent.first.sequence < self._skipped:
                intent = intent._replace(next=self._skipped)
            cursor = await self._deliver(cursor, batch, intent)
        await self._save_delivered()

    async def _resume(self) -> Cursor:
        """The cursor to continue from: the saved one, unless the sink knows better."""
        self._unsaved = None
        cursor = await self._attempts.retry(partial(asyncio.to_thread, self._load))
        expected = _expected(cursor)
        self._may_be_written = cursor.intent is not None
        sink_next = await self._attempts.retry(partial(self._open, expected))
        self._skipped = sink_next
        if sink_next == expected:
            return cursor
        SinkElsewhere(self.name, sink_next, expected).write()
        intent = cursor.intent
        if intent and intent.first.sequence < sink_next < intent.last.sequence:
            return Cursor(cursor.acked, intent._replace(next=sink_next))
        place_of = partial(asyncio.to_thread, self._source.place_of, sink_next)
        self._unsaved = Cursor(await self._attempts.retry(place_of))
        return self._unsaved

    async def _deliver(self, cursor: Cursor, batch: Batch | None, intent: Intent) -> Cursor:
        """Send the unsettled part of a batch; returns the cursor after it, which is saved with the next intent."""
        while batch is not None and (part := slice_batch(batch, intent.next, intent.size)):
            await self._save(Cursor(cursor.acked, intent))
            try:
                await self._attempts.retry(partial(self._send, part))
                size = intent.size and 2 * part.records
            except BatchRefused as refusal:
                size = (part.records + 1) // 2
                if part.records > 1:
                    intent = intent._replace(next=part.first, size=size)
                    continue
                await self._put_dead_letter(part, str(refusal))
            intent = intent._replace(next=part.last + 1, size=size)
        self._unsaved = Cursor(intent.last)
        self.passed = intent.last
        self.confirmed.move(intent.last.sequence)
        return self._unsaved

    async def _send(self, part: Batch) -> None:
        sink_next = part.first if self._is_open else await self._open(part.first)
        if sink_next == part.first:
            await self._attempts.ask(f"events {part.first} to {part.last}", partial(self._sink.deliver, part))
            self._proven = (part.last + 1, part.chain)
        elif sink_next != part.last + 1:
            raise Elsewhere

    async def _open(self, sequence: int) -> int:
        """Open the sink, and return where it goes on. Raises Broken unless what it has is of this log."""
        log_id = self._log.log_id.decode()
        found = await self._attempts.ask("the attempt to open it", partial(self._sink.open, log_id, sequence))
        mark = found.mark
        if mark and mark.next < found.next:
            SinkBehind(self.name, self._log.folder.path, mark.next, found.next - 1).write()
        if mark and (mark.next, mark.chain) != self._proven:
            await asyncio.to_thread(self._source.check, mark)
            self._proven = (mark.next, mark.chain)
        self._is_open = True
        return found.next

    async def _close(self) -> None:
        self._is_open = False
        await self._sink.close()

    async def _put_dead_letter(self, part: Batch, reason: str) -> None:
        """Give up on the one event of `part`."""
        (event,) = part.events()
        await self._attempts.retry(partial(self._write_dead_letter, event, reason))
        self._may_be_written = False
        self.confirmed.refuse(event.sequence)

    async def _write_dead_letter(self, event: Record, reason: str) -> None:
        try:
            await self._dead_letters.put(self.name, event, reason, maybe_again=self._may_be_written)
        except (WalError, OSError) as error:
            raise SinkError(f"{error}; the dead letter waits") from error

    def _load(self) -> Cursor:
        log = self._log
        cursor = log.folder.cursor(self.name)
        return cursor or Cursor(log.folder.oldest() or log.end)

    async def _rest(self) -> None:
        """Before a pause: the log could be read, so the sink is up; make the cursor of delivered events durable."""
        await self._attempts.succeeded()
        await self._save_delivered()

    async def _save_delivered(self) -> None:
        if self._unsaved is not None:
            await self._save(self._unsaved)

    async def _save(self, cursor: Cursor) -> None:
        save = partial(self._log.folder.save_cursor, self.name, cursor)
        await self._attempts.retry(partial(asyncio.to_thread, save))
        self._unsaved = None


def _expected(cursor: Cursor) -> int:
    """The sequence of the first event that is not settled."""
    intent = cursor.intent
    return max(intent.first.sequence, intent.next) if intent else cursor.acked.sequence
