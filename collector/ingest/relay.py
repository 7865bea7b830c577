"""`/relay`: another node ships its log here, as NDJSON of its records. GET says from which sequence on it is wanted."""

import asyncio
import logging
import re
from typing import Final, Protocol

from msgspec.structs import replace
from starlette.types import Receive, Scope, Send

from collector.errors import BadTarget, Forbidden, MethodNotAllowed, Overloaded, Rejected, RelayBlocked
from collector.ingest.answer import Answer, refusal_answer, relay_answer
from collector.ingest.body import BodyReader, ClientGone
from collector.ingest.inflate import inflate
from collector.ingest.query import parse_pairs
from collector.ingest.relay_records import records_in
from collector.ingest.send import send_answer
from collector.ingest.target import Face
from collector.long_work import LongWork
from collector.problems import refusal_of
from collector.registry import is_key, key_in
from collector.settings import Limits
from wal.errors import WalError
from wal.format import MAX_BLOCK_BYTES

_METHODS: Final = b"GET, POST"
_LOG_ID: Final = re.compile("[0-9a-f]{16}")
_CHAIN: Final = re.compile(rb"[0-9a-f]{8}")
_AT_ONCE: Final = 8
"""Batches that are inflated and stored at a time. Each may hold three times MAX_BLOCK_BYTES: inflated, as lines, and
as the lines that are new."""
_DISK: Final = "disk"
_INFLATION_RATIO: Final = 10_000
"""Records of a quiet hour may be much alike, and a relay has shown its key."""

logger = logging.getLogger(__name__)


class Relays(Protocol):
    """How far other nodes' logs have arrived, and where they go on. A key is given by its digest."""

    async def next(self, key_digest: bytes, log_id: str) -> tuple[int, str | None]:
        """The sequence of the next event that is wanted of a log, and the chain of the one before."""

    async def take(
        self, key_digest: bytes, log_id: str, records: list[tuple[int, bytes]], chain: str | None = None
    ) -> int:
        """Store those of these records, each a sequence and a line, that are new; returns the next sequence."""


class RelayEndpoint:
    """An ASGI application for one path."""

    def __init__(self, *, relays: Relays, key_digests: tuple[bytes, ...], limits: Limits) -> None:
        self._relays = relays
        self._key_digests = key_digests
        self._limits = limits
        self._bodies = BodyReader(replace(limits, body_bytes=MAX_BLOCK_BYTES))
        self._long_work = LongWork(_AT_ONCE, limits.in_flight_bytes)
        self._troubles: dict[str, str] = {}
        """What keeps a log, by its id, or _DISK from working: logged when it begins, and not at each attempt."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            answer = await self._answer(scope, receive, dict(scope["headers"]))
        except ClientGone:
            return
        except (Rejected, Overloaded, WalError) as error:
            answer = refusal_answer(Face.JSON, refusal_of(error))
        await send_answer(scope, send, answer)

    async def _answer(self, scope: Scope, receive: Receive, headers: dict[bytes, bytes]) -> Answer:
        key_digest = self._admitted(headers)
        log_id = parse_pairs(scope["query_string"]).values.get("log_id", "")
        if not _LOG_ID.fullmatch(log_id):
            raise BadTarget("log_id: expected 16 hexadecimal digits")
        if scope["method"] not in _METHODS.decode().split(", "):
            raise MethodNotAllowed(_METHODS)
        try:
            if scope["method"] == "GET":
                answer = relay_answer(*await self._relays.next(key_digest, log_id), is_stored=False)
            else:
                answer = await self._take(key_digest, log_id, scope, receive, headers)
        except RelayBlocked as error:
            self._log_once(log_id, f"log {log_id} is not relayed: {error}")
            return _blocked_answer(error)
        except OSError as error:
            self._log_once(_DISK, f"a relay: {error.filename or 'a write below relays/'}: {error.strerror}")
            raise Overloaded from None
        self._troubles.pop(log_id, None)
        self._troubles.pop(_DISK, None)
        return answer

    def _admitted(self, headers: dict[bytes, bytes]) -> bytes:
        """The digest of the key that a request shows. Raises Forbidden."""
        key = key_in(headers)
        shown = [digest for digest in self._key_digests if is_key(key, (digest,))]  # all are compared
        if not shown:
            raise Forbidden("a relay needs one of this node's relay keys, as authorization: Bearer or x-write-key")
        return shown[0]

    async def _take(
        self, key_digest: bytes, log_id: str, scope: Scope, receive: Receive, headers: dict[bytes, bytes]
    ) -> Answer:
        chain = _chain_in(headers)
        body = await self._bodies.read(scope, receive, headers)
        encoding = headers.get(b"content-encoding", b"").strip().lower()
        async with self._long_work.turn(len(body)):
            records = await asyncio.to_thread(_records, body, encoding, log_id, self._limits)
            # Not to be cancelled with a client that goes: the batch and the word of it belong together.
            stored = self._relays.take(key_digest, log_id, records, chain)
            return relay_answer(await asyncio.shield(stored), is_stored=True)

    def _log_once(self, subject: str, trouble: str) -> None:
        if self._troubles.get(subject) != trouble:
            self._troubles[subject] = trouble
            logger.error("%s", trouble)


def _blocked_answer(error: RelayBlocked) -> Answer:
    """Say what is wrong: the sender's operator sees it as the last error of the sink."""
    return refusal_answer(Face.JSON, replace(refusal_of(error), message=str(error)))


def _chain_in(headers: dict[bytes, bytes]) -> str | None:
    """The CRC of the header of the sender's block that holds the batch's last event; None if it is not told."""
    chain = headers.get(b"x-log-chain")
    if chain is None:
        return None
    if not _CHAIN.fullmatch(chain):
        raise BadTarget("x-log-chain: expected 8 lower-case hexadecimal digits")
    return chain.decode()


def _records(body: bytes, encoding: bytes, log_id: str, limits: Limits) -> list[tuple[int, bytes]]:
    return records_in(b"".join(inflate(body, encoding, MAX_BLOCK_BYTES, _INFLATION_RATIO)), log_id, limits)
