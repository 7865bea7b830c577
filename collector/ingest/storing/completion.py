"""From the outcome of a request to its response.

A response may wait for turns of long work, for the disk, for the dead letters, and for a sink's confirmation. If it
waits for the disk alone, it needs no task: one future of the log serves all requests with events in the same block.
"""

import asyncio
import time
from collections.abc import Coroutine, Generator, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import Final, TypeVar

from collector.acknowledgements import Acknowledgements
from collector.errors import Refusal, Rejected, Unconfirmed
from collector.http.request import Request
from collector.http.response import Pending, Response, response_of
from collector.http.status import refusal_of
from collector.ingest.accounts.accounts import Accounts
from collector.ingest.accounts.rejects import Rejects
from collector.ingest.policy.dedup import Dedup
from collector.ingest.request import EventRequest
from collector.ingest.storing.batch import Batches
from collector.ingest.storing.outcome import AllRefused, EventBatch, Outcome, Queued, Steps, Stored, StoredBatch
from collector.long_work import LARGE_BYTES, SLICE_BYTES, LongWork

T = TypeVar("T")

_AT_ONCE: Final = 4
"""Long bodies processed at a time."""
CLIENT_GONE: Final = Refusal("client_gone", "the client disconnected before its events were processed")


class Completion:
    """Completes requests, by one call of `respond` or `run` for each."""

    def __init__(
        self,
        batches: Batches,
        dedup: Dedup,
        rejects: Rejects,
        accounts: Accounts,
        acknowledgements: Mapping[str, Acknowledgements],
        log_id: bytes,
    ) -> None:
        """`acknowledgements` has the acknowledgements of the sinks, by name; `log_id` is the log's, in hexadecimal."""
        self._dedup = dedup
        self._batches = batches
        self._rejects = rejects
        self._accounts = accounts
        self._acknowledgements = acknowledgements
        self._log_id = log_id
        self._long_work = LongWork(_AT_ONCE)
        self._tasks: set[asyncio.Task[Response]] = set()

    def respond(self, request: EventRequest, outcome: Outcome) -> Response | Pending:
        """The response to an outcome, or a pending one. Raises Rejected, WalError; a task may fail with them too."""
        if type(outcome) is Stored or type(outcome) is Queued:
            if request.context.prop.ack is None:
                return outcome
            return self._pending(request, self._confirmed(request, outcome))
        if isinstance(outcome, EventBatch):
            return self._of_batch(request, outcome, self._batches.store(request, outcome))
        if isinstance(outcome, AllRefused):
            self._rejects.check(request)
            if not request.is_stored:
                raise Rejected.of(outcome.refusal)
            self._accounts.refuse(request, outcome.refusal)
            return self._pending(request, self._rejected(request, outcome))
        return outcome

    def run(self, request: EventRequest, steps: Steps, length: int) -> Response | Pending:
        """As `respond`, for the outcome of `steps`. `length`: bytes of the body as sent."""
        is_long = bool(request.encoding) or length > SLICE_BYTES
        if not is_long:
            try:
                next(steps)
            except StopIteration as end:
                outcome: Outcome = end.value
                return self.respond(request, outcome)
        return self._pending(request, self._run(request, steps, is_long=is_long))

    def _pending(self, request: EventRequest, coroutine: Coroutine[None, None, Response]) -> Pending:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)  # the event loop itself holds no strong reference
        task.add_done_callback(partial(self._end, request))
        return Pending(None, task)

    def _end(self, request: EventRequest, task: asyncio.Task[Response]) -> None:
        """Settle the account of the events if the client has left, since nobody calls `EventEndpoint.refuse` then."""
        self._tasks.discard(task)
        if request.is_gone and request.events:
            error = None if task.cancelled() else task.exception()
            self._accounts.refuse(request, refusal_of(error) if error else CLIENT_GONE)

    async def _run(self, request: EventRequest, steps: Steps, *, is_long: bool) -> Response:
        async with self.turn(is_long=is_long):
            settled = await self._settled(request, await self.result_of(request, steps))
        return settled if isinstance(settled, Response) else await response_of(settled)

    def turn(self, *, is_long: bool) -> AbstractAsyncContextManager[None]:
        """Held during all work on a long body, of which few are processed at a time."""
        return self._long_work.turns if is_long else nullcontext()

    async def result_of(self, request: Request, steps: Generator[None, None, T]) -> T:
        """Run the steps, with pauses between them. Raises CancelledError if the client has disconnected."""
        while True:
            await self._long_work.pause()
            if request.is_gone:
                raise asyncio.CancelledError
            begun = time.perf_counter()
            try:
                next(steps)
            except StopIteration as end:
                result: T = end.value
                return result
            finally:
                self._long_work.took(time.perf_counter() - begun)

    async def _settled(self, request: EventRequest, outcome: Outcome) -> Response | Pending:
        """As `respond`, but a large batch waits until no other one is being written to the disk."""
        if not isinstance(outcome, EventBatch):
            return self.respond(request, outcome)
        return self._of_batch(request, outcome, await self.store(request, outcome))

    async def store(self, request: EventRequest, batch: EventBatch, *, is_rated: bool = False) -> StoredBatch:
        """Append a batch; a large one waits until no other one is being written. Raises Rejected, WalError.

        `is_rated`: its property may send these events now.
        """
        if sum(map(len, batch.records)) < LARGE_BYTES:
            return self._batches.store(request, batch, is_rated=is_rated)
        async with self._long_work.large:
            stored = self._batches.store(request, batch, is_rated=is_rated)
            if stored.durable:
                await asyncio.wait([stored.durable])
            return stored

    def _of_batch(self, request: EventRequest, batch: EventBatch, stored: StoredBatch) -> Response | Pending:
        if batch.refused:
            if not batch.records:
                self.check_refused(request)
            self.count_refused(request, batch)
            return self._pending(request, self._finished(request, batch, stored))
        if stored.duplicates or (stored.durable and request.context.prop.ack is not None):
            return self._pending(request, self._finished(request, batch, stored))
        response = self._batches.response(request, batch, stored)
        return response if stored.durable is None else Pending(response, stored.durable)

    def check_refused(self, request: EventRequest) -> None:
        """Raise TooFast if too many events of the property are refused."""
        self._rejects.check(request)

    def count_refused(self, request: EventRequest, batch: EventBatch) -> None:
        """Count the refused events of a batch."""
        for event in batch.refused:
            self._accounts.refuse(request, event.refusal, 1)

    async def settle(self, request: EventRequest, batch: EventBatch, stored: StoredBatch) -> None:
        """Return when the events of a batch are where a 200 promises them: in the log, or in the dead letters.

        Raises WalError, Unconfirmed.
        """
        if stored.durable is not None:
            await stored.durable
        if batch.refused:
            await self._rejects.keep(request, batch.form, batch.refused)
        if stored.durable is not None:
            await self._shipped(request, stored.first, stored.events, None)
        if stored.duplicates:
            await self._dedup.wait(stored.duplicates.values())
            self._accounts.repeat(request, stored.duplicates.values())

    async def _finished(self, request: EventRequest, batch: EventBatch, stored: StoredBatch) -> Response:
        await self.settle(request, batch, stored)
        return self._batches.response(request, batch, stored)

    async def _confirmed(self, request: EventRequest, stored: Stored | Queued) -> Response:
        response = await response_of(stored)
        if isinstance(stored, Stored):
            await self._shipped(request, stored.sequence, 1, stored.event_id)
        elif stored.event.is_shipped:
            sequence = stored.event.sequence
            await self._shipped(request, sequence, 1, b"%b-%d" % (self._log_id, sequence))
        return response

    async def _rejected(self, request: EventRequest, outcome: AllRefused) -> Response:
        await self._rejects.keep(request, outcome.form, outcome.refused)
        raise Rejected.of(outcome.refusal)

    async def _shipped(self, request: EventRequest, first: int, events: int, event_id: bytes | None) -> None:
        """Return when the property's `ack_sink` has these events. Raises Unconfirmed."""
        ack = request.context.prop.ack
        if ack is None:
            return
        try:
            async with asyncio.timeout(ack.seconds):
                if await self._acknowledgements[ack.sink].wait(first, first + events - 1):
                    return
        except TimeoutError:
            raise Unconfirmed(event_id) from None
        raise Unconfirmed(event_id)
