"""Single events with ids: those of one turn of the event loop are claimed and appended together.

One transaction of the index for each event would cost twice as much: it copies the pages that it changes, and each
copy takes the place of others in the processor's caches.
"""

import asyncio
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from collector.dedup.layout import Place
from collector.errors import Overloaded
from collector.http.response import Response
from collector.http.status import refusal_of
from collector.ingest.accounts.accounts import Accounts
from collector.ingest.policy.dedup import Dedup
from collector.ingest.record import renumbered
from collector.ingest.request import EventRequest
from collector.ingest.responses import duplicate_headers, stored_headers
from wal.committer import Committer
from wal.errors import WalError

_MOST_BYTES: Final = 1 << 20
"""Events of this size together do not wait for the end of the turn."""
_OF_STORED: Final = (b"x-event-ack:", b"x-event-id:")
"""The beginnings of the headers that confirm a new event."""


class Unclaimed(Struct):
    """One event with an id, not appended yet: its record and its response have the sequence that it probably gets."""

    request: EventRequest
    key: bytes
    record: bytes
    response: Response
    sequence: int
    is_shipped: bool
    """Whether its response confirms the delivery by a sink."""
    done: asyncio.Future[Response]


class StoredOnce:
    """Appends single events with ids to one log. Belongs to the event loop."""

    def __init__(self, dedup: Dedup, committer: Committer, accounts: Accounts) -> None:
        self._dedup = dedup
        self._committer = committer
        self._accounts = accounts
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Unclaimed] = []
        self._length = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def next_sequence(self) -> int:
        """The sequence that the next event gets, unless one that waits is a duplicate, or others come between."""
        return self._committer.next_sequence + len(self._waiting)

    def add(self, request: EventRequest, key: bytes, record: bytes, response: Response, sequence: int) -> Unclaimed:
        """Append the event at the end of this turn. The future has its response once it, or the first one, is durable.

        It fails with Overloaded or WalError if the event can't be taken.
        """
        is_shipped = request.context.prop.ack is not None
        if rate := request.context.prop.rate:
            rate.take(1)  # now: further events of this turn are checked before any of them is appended
        event = Unclaimed(request, key, record, response, sequence, is_shipped, self._loop.create_future())
        if not self._waiting:
            self._loop.call_soon(self._append)
        self._waiting.append(event)
        self._length += len(record)
        if self._length > _MOST_BYTES:
            self._append()
        return event

    def _append(self) -> None:
        events, self._waiting, self._length = self._waiting, [], 0
        if not events:
            return
        log_id, first = self._committer.log.log_id, self._committer.next_sequence
        records = [
            event.record if event.sequence == sequence else renumbered(event.record, log_id, sequence)
            for sequence, event in enumerate(events, first)
        ]
        keys, windows = [event.key for event in events], [event.request.context.prop.dedup_ms for event in events]
        try:
            durable, _, duplicates = self._dedup.append(records, keys, windows, events[-1].request.context.received_ms)
        except (Overloaded, WalError) as error:
            for event in events:
                _give_back(event)
                self._fail(event, error)
            return
        new = [event for at, event in enumerate(events) if at not in duplicates] if duplicates else events
        if durable is not None:
            self._take(new, first, durable)
        for at, place in duplicates.items():
            self._repeat(events[at], place)

    def _take(self, events: list[Unclaimed], first: int, durable: asyncio.Future[None]) -> None:
        """Note where new events are, and answer them when their block is fsynced."""
        for sequence, event in enumerate(events, first):
            if event.sequence != sequence:
                self._move(event, sequence)
            self._accounts.append(event.request, 1, durable)

        def respond(durable: asyncio.Future[None]) -> None:
            error = durable.exception()
            for event in events:
                if error is None:
                    self._succeed(event)
                else:
                    self._fail(event, error)

        durable.add_done_callback(respond)

    def _move(self, event: Unclaimed, sequence: int) -> None:
        """Put the sequence that the event got into its response."""
        guessed, got = (self._stored_headers(event, number) for number in (event.sequence, sequence))
        event.response = replace(event.response, headers=event.response.headers.replace(guessed, got))
        event.sequence = sequence

    def _stored_headers(self, event: Unclaimed, sequence: int) -> bytes:
        return stored_headers(b"%b-%d" % (self._committer.log.log_id, sequence), is_shipped=event.is_shipped)

    def _repeat(self, event: Unclaimed, first: Place) -> None:
        """Answer an event that is not stored again, once the first one with its id is durable."""
        lines = [line for line in event.response.headers.splitlines(keepends=True) if not line.startswith(_OF_STORED)]
        event.response = replace(event.response, headers=b"".join(lines) + duplicate_headers(first))
        event.is_shipped = False
        _give_back(event)
        task = asyncio.ensure_future(self._wait(event, first))
        self._tasks.add(task)  # the event loop itself holds no strong reference
        task.add_done_callback(self._tasks.discard)

    async def _wait(self, event: Unclaimed, first: Place) -> None:
        try:
            await self._dedup.wait([first])
        except (Overloaded, WalError) as error:
            self._fail(event, error)
            return
        self._accounts.repeat(event.request, [first])
        self._succeed(event)

    def _succeed(self, event: Unclaimed) -> None:
        if not event.done.done():  # an ASGI server may have cancelled it, because the client has left
            event.done.set_result(event.response)

    def _fail(self, event: Unclaimed, error: BaseException) -> None:
        """Let the response be a refusal. If the client has left, nobody asks for one, so count it here."""
        if event.request.is_gone or event.done.done():
            self._accounts.refuse(event.request, refusal_of(error))
            event.done.cancel()
        else:
            event.done.set_exception(error.anew() if isinstance(error, WalError) else Overloaded(str(error)))


def _give_back(event: Unclaimed) -> None:
    """An event that is not appended does not count against the rate of its property."""
    if rate := event.request.context.prop.rate:
        rate.take(-1)
