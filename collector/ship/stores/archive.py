"""Batches as files in a store, each once: the common part of the sinks for files and for objects.

A file's name and content follow from its batch, and a file is created, never overwritten. A file that exists counts
as delivered if it holds the same events. The mark is written after the files of a batch, and says which events are
delivered. With it an old cursor delivers nothing twice, even if batches are cut at other bounds, and a log that was
restored from a backup is distinguished from the delivered one.
"""

import asyncio
from typing import Annotated, Final, Literal, Protocol

import msgspec
from msgspec import Meta, Struct

from collector.errors import BadSettings, SinkError
from collector.settings.sinks import SinkSettings
from collector.ship.batch import Batch
from collector.ship.formats.encoding import Encoding, encoding
from collector.ship.mark import Mark, Resumption
from collector.ship.partition import Group, grouped

FOLDER: Final = "_tracklog"
"""The folder of marks in every store. Readers of partitions skip a name that begins with `_`."""


class ArchiveSettings(SinkSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings that every sink of files has."""

    format: Annotated[
        Literal["ndjson", "parquet"], Meta(description="`ndjson`, compressed with zstd, or `parquet`")
    ] = "ndjson"


class Store(Protocol):
    """Named contents. Each call returns once its effect is durable, and raises SinkError."""

    where: str
    """The name of the store in messages."""

    async def create(self, name: str, content: bytes, content_type: str) -> bool:
        """Create a file, whole or not at all. False if the name exists."""

    async def replace(self, name: str, content: bytes) -> None:
        """Create or replace a file."""

    async def read(self, name: str) -> bytes | None:
        """The content of a file, None if it does not exist."""

    async def names(self) -> list[str]:
        """The names of all files, in any order; none if there is no such folder."""


class _Mark(Struct, frozen=True, tag_field="v", tag=1):
    log_id: str
    consumer: str
    next: int
    chain: str


class Archive:
    """Delivers the batches of one log into a store."""

    def __init__(self, store: Store, settings: ArchiveSettings, consumer: str) -> None:
        """Raises BadSettings if the library of the format is missing."""
        self._store = store
        self._encoding = _encoding(settings)
        self._consumer = consumer
        self._next = 0

    async def open(self, log_id: str, sequence: int) -> Resumption:
        """Where to continue: at the given sequence, or at the later one of the mark. Raises SinkError."""
        mark = await self.mark(log_id)
        self._next = max(sequence, mark.next if mark else 0)
        return Resumption(self._next, mark)

    async def mark(self, log_id: str) -> Mark | None:
        """The mark of this log, None if there is none. Raises SinkError."""
        content = await self._store.read(self._mark_name(log_id))
        return None if content is None else self._read_mark(log_id, content)

    async def deliver(self, batch: Batch, partition: str) -> None:
        """Put the files of a batch, then the mark. Raises SinkError."""
        for group in await asyncio.to_thread(grouped, batch, partition):
            await self._put(batch.log_id, group)
        if self._next <= batch.last:
            mark = _Mark(batch.log_id, self._consumer, batch.last + 1, batch.chain)
            await self._store.replace(self._mark_name(batch.log_id), msgspec.json.encode(mark) + b"\n")
            self._next = mark.next

    async def _put(self, log_id: str, group: Group) -> None:
        name = group.name + self._encoding.suffix
        content = await asyncio.to_thread(self._encoding.encode, log_id, group.parts)
        if await self._store.create(name, content, self._encoding.content_type):
            return
        there = await self._store.read(name)
        if there is None:
            raise SinkError(f"{self._store.where}/{name}: somebody else is putting it just now, or has deleted it")
        if there != content and not await asyncio.to_thread(self._encoding.is_same, there, content):
            raise SinkError(
                f"{self._store.where}/{name}: holds something else than the events of its name; "
                "move it away, then they are put there"
            )

    def _mark_name(self, log_id: str) -> str:
        return f"{FOLDER}/{log_id}.{self._consumer}.json"

    def _read_mark(self, log_id: str, content: bytes) -> Mark:
        where = f"{self._store.where}/{self._mark_name(log_id)}"
        try:
            mark = msgspec.json.decode(content, type=_Mark)
        except (msgspec.DecodeError, UnicodeDecodeError):
            mark = None
        if not mark or (mark.log_id, mark.consumer) != (log_id, self._consumer):
            raise SinkError(
                f"{where}: is no mark of this log and sink; move it away, then delivery goes on where the cursor is"
            )
        return Mark(mark.next, mark.chain, where)


def _encoding(settings: ArchiveSettings) -> Encoding:
    try:
        return encoding(settings.format)
    except ImportError as error:
        raise BadSettings(
            f"sink {settings.name}: format: `parquet` needs {error.name}; install tracklog[parquet]"
        ) from None
