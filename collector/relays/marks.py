"""The marks of relays: the progress of each other node's log here, and the key that it is bound to.

A mark is the file `relays/<log_id>.json` beside the shards. Under the log's lock, it is replaced whole and fsynced.
This module knows nothing of requests, and of shards only their names.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from hashlib import blake2b
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from collector.errors import UNDECODABLE, Forbidden, Overloaded, RelayBlocked
from wal.errors import LogLocked
from wal.files import Files, opened, read_file, write_file

FOLDER: Final = "relays"
MAX_SEQUENCE: Final = 2**53
"""JSON readers agree on integers up to this, and the format's 16 digits hold them."""
MOST_LOGS: Final = 1000
"""Logs of one key, so that a stolen key can't fill the folder with files."""
_NEW: Final = "new"
"""The name of the lock for writing first marks. No log has this name."""
_FILE: Final = re.compile(r"([0-9a-f]{16})\.json")
_LOCK_POLLS: Final = 500
_LOCK_POLL_SECONDS: Final = 0.02
_REPAIR: Final = 'restore the file, or write {"next":N}, where N - 1 is the last sequence of that log stored here'

_Sequence = Annotated[int, Meta(ge=0, le=MAX_SEQUENCE)]
_Chain = Annotated[str, Meta(pattern=r"\A[0-9a-f]{8}\Z")]


class Plan(Struct, frozen=True, forbid_unknown_fields=True):
    """A batch that will be appended to a shard, at `sequence` of its log or later."""

    shard: Annotated[str, Meta(pattern=r"\A[0-9]{1,9}\Z")]
    sequence: int
    first: _Sequence
    last: _Sequence
    chain: _Chain | None = None


class RelayMark(Struct, frozen=True, forbid_unknown_fields=True):
    """The progress of one log, and the batch being written."""

    next: Annotated[int, Meta(ge=0, le=MAX_SEQUENCE + 1)] = 0
    """The sequence of the next event to send."""
    chain: _Chain | None = None
    """CRC of the header of the sender's block that holds event `next - 1`; None if the sender did not send it."""
    key: Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")] | None = None
    """`key_name` of the key that may relay this log; None: the next key that relays it."""
    last_ms: Annotated[int, Meta(ge=0, le=10**13)] = 0
    """Unix ms of the last batch that had new events."""
    plan: Plan | None = None


_decode: Final = msgspec.json.Decoder(RelayMark).decode


def key_name(digest: bytes) -> str:
    """The name of a key in marks, from its digest. It reveals neither the key nor the digest."""
    return blake2b(digest, digest_size=16, person=b"tracklog relay").hexdigest()


class Marks:
    """The marks of one node."""

    def __init__(self, directory: str, files: Files | None = None) -> None:
        """`directory` holds the shards."""
        self._files = files or Files()
        self._directory = os.path.join(directory, FOLDER)

    def log_ids(self) -> list[str]:
        """The ids of the logs that have a mark, in order. Raises OSError."""
        return [match[1] for name in self._files.names(self._directory) if (match := _FILE.fullmatch(name))]

    def has(self, log_id: str) -> bool:
        """Whether a log has a mark."""
        return os.path.exists(self._path(log_id))

    def read(self, log_id: str) -> RelayMark:
        """The mark of a log; a new mark if it has none. Raises RelayBlocked, OSError."""
        try:
            return _decode(read_file(self._files, self._path(log_id)))
        except FileNotFoundError:
            return RelayMark()
        except UNDECODABLE as error:
            raise RelayBlocked(f"{FOLDER}/{log_id}.json: damaged: {error}; {_REPAIR}") from None

    async def begin(self, log_id: str, key: str) -> None:
        """Write the first mark of a log and bind the log to `key`, unless it has a mark.

        Raises Forbidden if the key has MOST_LOGS logs, Overloaded, OSError.
        """
        await asyncio.to_thread(self._files.make_directory, self._directory)
        async with self.held(_NEW):
            await _to_the_end(partial(self._begin, log_id, key))

    async def save(self, log_id: str, mark: RelayMark) -> None:
        """Replace the mark of a log durably, while its lock is held. Raises OSError."""
        await _to_the_end(partial(self._write, log_id, mark))

    @asynccontextmanager
    async def held(self, log_id: str) -> AsyncIterator[None]:
        """Hold the lock of a log that has a mark, against all processes. Raises Overloaded, OSError."""
        with opened(self._files, await self._lock(os.path.join(self._directory, f"{log_id}.lock"))):
            yield

    async def _lock(self, path: str) -> int:
        for _ in range(_LOCK_POLLS):
            try:
                return self._files.lock(path)
            except LogLocked:
                await asyncio.sleep(_LOCK_POLL_SECONDS)
        raise Overloaded("another batch of this log is being stored")

    def _begin(self, log_id: str, key: str) -> None:
        if self.has(log_id):
            return
        if sum(self._is_of(known, key) for known in self.log_ids()) >= MOST_LOGS:
            raise Forbidden(
                f"this relay key has reached the limit of {MOST_LOGS} logs: release some with `collector relay forget` "
                "at the receiver, or use another key"
            )
        self._write(log_id, RelayMark(key=key))

    def _is_of(self, log_id: str, key: str) -> bool:
        with suppress(RelayBlocked):
            return self.read(log_id).key == key
        return False

    def _write(self, log_id: str, mark: RelayMark) -> None:
        write_file(self._files, self._path(log_id), msgspec.json.encode(mark) + b"\n")

    def _path(self, log_id: str) -> str:
        return os.path.join(self._directory, f"{log_id}.json")


async def _to_the_end(call: Callable[[], None]) -> None:
    """Run `call` in a thread. A cancellation waits for its end, because the lock must outlive the write.

    Otherwise the next holder of the lock could read the old mark, and this write could then overwrite its new mark.
    """
    running = asyncio.ensure_future(asyncio.to_thread(call))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
