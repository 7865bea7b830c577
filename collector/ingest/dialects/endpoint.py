"""Serves the paths of a dialect: from a request of its SDK to events in the log, and to the response it expects.

An SDK has one string for the property, in the head of its request or in its events, so that one request may hold
events of several properties. A bad event is a dead letter under a 200: an SDK sends a refused batch again, whole.
"""

import asyncio
import time
from collections.abc import Generator
from functools import partial
from typing import Final

from msgspec import Struct

from collector.dead_letters.writer import Form
from collector.errors import BadEvent, Overloaded, Rejected
from collector.http.request import Request, RequestHead
from collector.http.response import Pending, Response
from collector.http.status import refusal_of
from collector.ingest.accounts.accounts import Accounts
from collector.ingest.accounts.noticing import notice
from collector.ingest.bodies.body import inflated
from collector.ingest.dialects.dialect import PAUSE, Dialect, Result
from collector.ingest.dialects.groups import Groups
from collector.ingest.dialects.parts import RequestPart, check_rates, fitted
from collector.ingest.dialects.secrets import without_secrets
from collector.ingest.dialects.senders import Senders
from collector.ingest.dialects.visitor_members import events_of
from collector.ingest.intake import Intake
from collector.ingest.policy.load_shedding import sheds_retryable
from collector.ingest.request import check_head
from collector.ingest.responses import DUPLICATE, preflight_response, stored_headers
from collector.ingest.storing.batch import Batches
from collector.ingest.storing.completion import CLIENT_GONE, Completion
from collector.ingest.storing.outcome import EventBatch, StoredBatch
from collector.long_work import SLICE_BYTES, SLICE_SECONDS
from collector.ops.notices import Notices
from collector.settings import Limits

_GZIP: Final = b"\x1f\x8b"
_NONE: Final = EventBatch(Form.JSON, [], 0, None, [])


class DialectRequest(Request, Struct):
    """An admitted request of an SDK; its groups fill when it is whole."""

    groups: Groups
    endpoint: "DialectEndpoint"


class DialectEndpoint:
    """Serves the paths of one dialect, as `http.Endpoint`."""

    def __init__(
        self,
        dialect: Dialect,
        senders: Senders,
        intake: Intake,
        batches: Batches,
        completion: Completion,
        accounts: Accounts,
        limits: Limits,
        notices: Notices,
    ) -> None:
        self._notices = notices
        self._dialect = dialect
        self.senders = senders
        self._intake = intake
        self._batches = batches
        self._completion = completion
        self._accounts = accounts
        self._limits = limits
        self._tasks: set[asyncio.Task[Response]] = set()

    def admit(self, head: RequestHead) -> Response | DialectRequest:
        """The request, or its refusal. A preflight carries no key, so it is allowed if any property allows it."""
        if head.method == "OPTIONS":
            return preflight_response(self.senders.preflight_headers(head))
        request = DialectRequest(
            groups=Groups(self.senders, head, self._dialect.credentials(head)),
            endpoint=self,
            head=head,
            body_limit=self._limits.body_bytes,
        )
        try:
            self._check(head)
        except (Rejected, Overloaded) as error:
            return self.refuse(request, error)
        return request

    def take(self, request: DialectRequest) -> Pending:
        """Store the events of a whole request."""
        task = asyncio.ensure_future(self._respond(request))
        self._tasks.add(task)  # the event loop itself holds no strong reference
        task.add_done_callback(partial(self._end, request))
        return Pending(None, task)

    def refuse(self, request: DialectRequest, error: BaseException) -> Response:
        """The response to a request that failed as a whole."""
        refusal = refusal_of(error)
        if request.head.method in ("GET", "POST"):
            request.groups.settle(self._accounts, refusal)
            sender, path = request.groups.sender, request.head.path
            notice(self._notices, self._accounts.refusals, path, sender, refusal, error)
        response = self._dialect.refusal(request.head, refusal)
        return Response(response.status, response.headers + request.groups.cors_headers, response.body)

    def _check(self, head: RequestHead) -> None:
        """Check all that needs neither the body nor the property. Raises Rejected, Overloaded."""
        check_head(head, self._limits.url_bytes)
        if self._dialect.retries(head) and sheds_retryable(self._intake.pressure):
            raise Overloaded("the log is close to its limits")

    def _end(self, request: DialectRequest, task: asyncio.Task[Response]) -> None:
        """Settle the accounts if the client has left, since nobody calls `refuse` then."""
        self._tasks.discard(task)
        if request.is_gone and (task.cancelled() or task.exception()):
            request.groups.settle(self._accounts, CLIENT_GONE)

    async def _respond(self, request: DialectRequest) -> Response:
        """The response to a whole request. Raises Rejected, Overloaded, WalError."""
        body, request.body = request.body, b""
        encoding = _encoding(request.head, body)
        async with self._completion.turn(is_long=bool(encoding) or len(body) > SLICE_BYTES):
            steps = self._steps(request, body, encoding)
            parts = await self._completion.result_of(request, steps)
            if not any(part.batch.records for part in parts):
                for part in parts:
                    self._completion.check_refused(part.request)
            check_rates(parts, time.monotonic())
            stored = [await self._completion.store(*part, is_rated=True) for part in parts]
        for part in parts:
            self._completion.count_refused(*part)
        for part, place in zip(parts, stored, strict=True):
            await self._completion.settle(*part, place)
        return self._response(request, stored)

    def _response(self, request: DialectRequest, batches: list[StoredBatch]) -> Response:
        groups = request.groups
        if groups.body_refusal is not None:
            raise Rejected.of(groups.body_refusal)
        groups.count_refused(self._accounts)
        stored, repeated = sum(batch.events for batch in batches), sum(len(batch.duplicates) for batch in batches)
        response = self._dialect.response(request.head, Result(stored, repeated, groups.events - stored - repeated))
        headers = response.headers + groups.cors_headers
        if (stored or repeated) and request.head.method != "HEAD":
            headers += stored_headers(None) if stored else DUPLICATE + stored_headers(None)
        return Response(response.status, headers, response.body)

    def _steps(self, request: DialectRequest, body: bytes, encoding: bytes) -> Generator[None, None, list[RequestPart]]:
        """Read the events and make their records; yields when other requests may run. Raises Rejected."""
        groups, sent = request.groups, len(request.head.query)
        try:
            body = yield from inflated(body, encoding, self._limits)
            sent = len(body) or sent
            yield from self._grouped(groups, request.head, body)
        except BadEvent as error:
            groups.refuse(error.refusal, body)
        if groups.refusal is not None:
            raise Rejected.of(groups.refusal)
        parts = []
        for group, sub_request in groups.admitted():
            self._accounts.receive(sub_request)
            self._accounts.split(sub_request, group.count)
            sub_request.share = len(groups)
            batch = _NONE
            if group.events:
                events = yield from events_of(group, sub_request.context)
                batch = yield from self._batches.records(sub_request, events, Form.JSON)
            refused = yield from without_secrets(group.refused, groups.secrets)
            parts.append(RequestPart(sub_request, batch._replace(refused=[*batch.refused, *refused])))
        return fitted(parts, sent)

    def _grouped(self, groups: Groups, head: RequestHead, body: bytes) -> Generator[None, None, None]:
        begun, index = time.perf_counter(), 0
        for event in self._dialect.events(head, body):
            if event is PAUSE:
                yield
                continue
            groups.add(index, event)
            index += 1
            if time.perf_counter() - begun > SLICE_SECONDS:
                yield
                begun = time.perf_counter()
        groups.close()


def _encoding(head: RequestHead, body: bytes) -> bytes:
    """The coding of a body by its first bytes, since SDKs send gzip under any header; else by the header."""
    if body.startswith(_GZIP):
        return b"gzip"
    encoding = head.fields.get(b"content-encoding", b"").strip().lower()
    return b"" if encoding in (b"gzip", b"x-gzip") else encoding
