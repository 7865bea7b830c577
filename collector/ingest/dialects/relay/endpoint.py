"""`/relay`: other nodes ship their logs here, as NDJSON of their records. GET returns the next sequence to send."""

import asyncio
import re
from functools import partial
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from collector.errors import BadTarget, Forbidden, MethodNotAllowed, Overloaded, Rejected, RelayBlocked
from collector.http.inflate import inflate
from collector.http.request import Request, RequestHead
from collector.http.response import Pending, Response, json_response
from collector.http.status import refusal_of
from collector.ingest.dialects.relay.records import records_in
from collector.ingest.policy.write_keys import is_key, key_in
from collector.ingest.query import parse_pairs
from collector.ingest.responses import relay_response
from collector.long_work import LongWork, computed
from collector.process_log.event import ProcessLogEvent
from collector.process_log.of_requests import RelayFailed, RelayStopped
from collector.settings import Limits
from wal.format import MAX_BLOCK_BYTES

_METHODS: Final = b"GET, POST"
_LOG_ID: Final = re.compile("[0-9a-f]{16}")
_CHAIN: Final = re.compile(rb"[0-9a-f]{8}")
_AT_ONCE: Final = 8
"""Batches that are inflated and stored at a time. One may hold three times MAX_BLOCK_BYTES: inflated, as lines, and as
new lines."""
_DISK: Final = "disk"
_INFLATION_RATIO: Final = 10_000
"""High, because records of a quiet hour may be very similar, and a relay has a key."""


class Relays(Protocol):
    """The logs of other nodes and their progress. A key is given by its digest."""

    async def next(self, key_digest: bytes, log_id: str) -> tuple[int, str | None]:
        """The next sequence to send of a log, and the chain of the event before it."""

    async def take(
        self, key_digest: bytes, log_id: str, records: list[tuple[int, bytes]], chain: str | None = None
    ) -> int:
        """Store the new ones of `records`, pairs of a sequence and a line; returns the next sequence to send."""


class RelayRequest(Request, Struct):
    """A request with a valid relay key."""

    key_digest: bytes
    log_id: str
    chain: str | None


class RelayEndpoint:
    """Serves the path `/relay`, as `http.Endpoint`."""

    def __init__(self, *, relays: Relays, key_digests: tuple[bytes, ...], limits: Limits) -> None:
        self._relays = relays
        self._key_digests = key_digests
        self._limits = limits
        self._long_work = LongWork(_AT_ONCE)
        self._tasks: set[asyncio.Task[Response]] = set()
        self._logged_errors: dict[str, ProcessLogEvent] = {}
        """The current error by log id, or of _DISK: logged when it begins, not at every attempt."""

    def admit(self, head: RequestHead) -> Response | RelayRequest:
        """The request if it has a valid key and log id, else its refusal."""
        try:
            key_digest = self._admitted(head.fields)
            log_id = parse_pairs(head.query).values.get("log_id", "")
            if not _LOG_ID.fullmatch(log_id):
                raise BadTarget("log_id: expected 16 hexadecimal digits")
            if head.method not in _METHODS.decode().split(", "):
                raise MethodNotAllowed(_METHODS)
            return RelayRequest(key_digest, log_id, _chain_in(head.fields), head=head, body_limit=MAX_BLOCK_BYTES)
        except Rejected as error:
            return json_response(error.refusal)

    def take(self, request: RelayRequest) -> Pending:
        """Store the records in the body; the response is the next sequence to send."""
        task = asyncio.ensure_future(self._respond(request))
        self._tasks.add(task)  # the event loop itself holds no strong reference
        task.add_done_callback(self._tasks.discard)
        return Pending(None, task)

    def refuse(self, _request: RelayRequest, error: BaseException) -> Response:
        """The response to an admitted request that failed."""
        refusal = refusal_of(error)
        # the sender's operator sees this message as the last error of the sink
        return json_response(replace(refusal, message=str(error)) if isinstance(error, RelayBlocked) else refusal)

    async def _respond(self, request: RelayRequest) -> Response:
        log_id = request.log_id
        try:
            if request.head.method == "GET":
                response = relay_response(*await self._relays.next(request.key_digest, log_id), is_stored=False)
            else:
                response = relay_response(await self._store(request), is_stored=True)
        except RelayBlocked as error:
            self._log_once(log_id, RelayStopped(log_id, str(error)))
            raise
        except OSError as error:
            self._log_once(_DISK, RelayFailed(error.filename or "a write below relays/", str(error.strerror)))
            raise Overloaded from None
        self._logged_errors.pop(log_id, None)
        self._logged_errors.pop(_DISK, None)
        return response

    def _admitted(self, fields: dict[bytes, bytes]) -> bytes:
        """The digest of the request's key. Raises Forbidden."""
        key = key_in(fields)
        matching = [digest for digest in self._key_digests if is_key(key, (digest,))]  # compares all
        if not matching:
            raise Forbidden("a relay needs one of this node's relay keys, as authorization: Bearer or x-write-key")
        return matching[0]

    async def _store(self, request: RelayRequest) -> int:
        """Store the new records; returns the next sequence to send."""
        body, request.body = request.body, b""
        encoding = request.head.fields.get(b"content-encoding", b"").strip().lower()
        async with self._long_work.turns:
            # as long as the longest: in a thread, and one at a time, however short the compressed body is
            read = partial(_records, body, encoding, request.log_id, self._limits)
            records = await computed(MAX_BLOCK_BYTES, read)
            return await self._relays.take(request.key_digest, request.log_id, records, request.chain)

    def _log_once(self, subject: str, event: ProcessLogEvent) -> None:
        if self._logged_errors.get(subject) != event:
            self._logged_errors[subject] = event
            event.write()


def _chain_in(fields: dict[bytes, bytes]) -> str | None:
    """The CRC of the header of the sender's block that holds the batch's last event; None if it was not sent."""
    chain = fields.get(b"x-log-chain")
    if chain is None:
        return None
    if not _CHAIN.fullmatch(chain):
        raise BadTarget("x-log-chain: expected 8 lower-case hexadecimal digits")
    return chain.decode()


def _records(body: bytes, encoding: bytes, log_id: str, limits: Limits) -> list[tuple[int, bytes]]:
    return records_in(b"".join(inflate(body, encoding, MAX_BLOCK_BYTES, _INFLATION_RATIO)), log_id, limits)
