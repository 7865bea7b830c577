"""`/relay`: another node ships its log here, as NDJSON of its records. GET says from which sequence on it is wanted."""

import asyncio
import logging
from typing import Final, Protocol

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from starlette.types import Receive, Scope, Send

from collector.config import Limits
from collector.errors import BadEvent, BadTarget, Forbidden, MethodNotAllowed, Overloaded, Rejected, TooLarge
from collector.ingest.answer import Answer, refusal_answer, relay_answer
from collector.ingest.body import BodyReader, ClientGone
from collector.ingest.inflate import inflate
from collector.ingest.query import parse_pairs
from collector.ingest.send import send_answer
from collector.ingest.target import Face
from collector.problems import UNAVAILABLE, refusal_of
from collector.registry import is_key, key_in
from wal.errors import WalError
from wal.format import MAX_BLOCK_BYTES, MAX_LINE_BYTES

_METHODS: Final = b"GET, POST"
_LOG_ID_DIGITS: Final = frozenset("0123456789abcdef")
_LOG_ID_LENGTH: Final = 16
_INFLATION_RATIO: Final = 10_000
"""Records of a quiet hour may be much alike, and a relay has shown its key."""

logger = logging.getLogger(__name__)


class Relays(Protocol):
    """How far other nodes' logs have arrived, and where they go on."""

    async def next(self, log_id: str) -> int:
        """The sequence of the next event that is wanted of a log."""

    async def take(self, log_id: str, records: list[tuple[int, bytes]]) -> int:
        """Store those of these records, each a sequence and a line, that are new; returns the next sequence."""


class _Record(Struct):
    """What every reader of a record relies on."""

    id: str
    received_at: int
    portal_id: int
    prop_id: int
    source: str
    s2s: bool
    au_id: str
    event: dict[str, msgspec.Raw]


_decode: Final = msgspec.json.Decoder(_Record).decode


class RelayEndpoint:
    """An ASGI application for one path."""

    def __init__(self, *, relays: Relays, key_digests: tuple[bytes, ...], limits: Limits) -> None:
        self._relays = relays
        self._key_digests = key_digests
        self._bodies = BodyReader(replace(limits, body_bytes=MAX_BLOCK_BYTES))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            answer = await self._answer(scope, receive, dict(scope["headers"]))
        except ClientGone:
            return
        except (Rejected, Overloaded, WalError) as error:
            answer = refusal_answer(Face.JSON, refusal_of(error))
        except OSError as error:
            logger.warning("a relay: %s: %s", error.filename, error.strerror)
            answer = refusal_answer(Face.JSON, UNAVAILABLE)
        await send_answer(scope, send, answer)

    async def _answer(self, scope: Scope, receive: Receive, headers: dict[bytes, bytes]) -> Answer:
        if not is_key(key_in(headers), self._key_digests):
            raise Forbidden("a relay needs one of this node's relay keys, as authorization: Bearer or x-write-key")
        log_id = parse_pairs(scope["query_string"]).values.get("log_id", "")
        if len(log_id) != _LOG_ID_LENGTH or not set(log_id) <= _LOG_ID_DIGITS:
            raise BadTarget("log_id: expected 16 hexadecimal digits")
        if scope["method"] == "GET":
            return relay_answer(await self._relays.next(log_id), is_stored=False)
        if scope["method"] != "POST":
            raise MethodNotAllowed(_METHODS)
        body = await self._bodies.read(scope, receive, headers)
        encoding = headers.get(b"content-encoding", b"").strip().lower()
        records = await asyncio.to_thread(_records, body, encoding, log_id)
        # Not to be cancelled with a client that goes: the batch and the word of it belong together.
        return relay_answer(await asyncio.shield(self._relays.take(log_id, records)), is_stored=True)


def _records(body: bytes, encoding: bytes, log_id: str) -> list[tuple[int, bytes]]:
    """The records in a body, each a sequence and a line with its LF. Raises Rejected."""
    lines = b"".join(inflate(body, encoding, MAX_BLOCK_BYTES, _INFLATION_RATIO)).split(b"\n")
    if lines.pop() or not lines:
        raise BadEvent("expected a record a line, each ending in LF")
    found: list[tuple[int, bytes]] = []
    for line in lines:
        sequence = _sequence_of(line, log_id)
        if found and sequence <= found[-1][0]:
            raise BadEvent(f"record {sequence} comes behind {found[-1][0]}; expected them in order")
        found.append((sequence, line + b"\n"))
    return found


def _sequence_of(line: bytes, log_id: str) -> int:
    if len(line) >= MAX_LINE_BYTES:
        raise TooLarge(f"a record is over the limit of {MAX_LINE_BYTES} bytes")
    try:
        found, _, sequence = _decode(line).id.rpartition("-")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadEvent(f"a line is no record: {error}") from None
    if found != log_id or not sequence.isdecimal() or not line.startswith(b'{"id":"') or b"\r" in line:
        raise BadEvent(f"a record is not of log {log_id}")
    return int(sequence)
