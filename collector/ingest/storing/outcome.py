"""The outcome of a request's events, before the wait for the disk."""

import asyncio
from collections.abc import Generator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from msgspec import Struct

from collector.dead_letters.writer import Form, Refused
from collector.dedup.layout import Place
from collector.errors import Refusal
from collector.http.response import Pending, Response
from collector.ingest.session import Session
from collector.ingest.storing.once import Unclaimed


class Stored(Pending, Struct, frozen=True):
    """One event, appended to the next block of the log."""

    sequence: int = 0
    event_id: bytes = b""


class Queued(Pending, Struct, frozen=True, kw_only=True):
    """One event with an id, which is appended at the end of this turn unless it is a duplicate."""

    event: Unclaimed


class EventBatch(NamedTuple):
    """The events of a body as records, not appended yet."""

    form: Form
    records: list[bytes]
    first: int
    """The sequence in the first record."""
    session: Session | None
    """The session of the last record."""
    refused: list[Refused]
    """The events that failed validation."""
    keys: Sequence[bytes] = ()
    """The keys of the records' ids in the index, empty for a record without one; none where no id is remembered."""
    lost: Mapping[int, int] = MappingProxyType({})
    """The events that the client lost before a record, by the record's position; most records tell none."""


class StoredBatch(NamedTuple):
    """The place of a batch in the log."""

    durable: asyncio.Future[None] | None
    """Done when the batch is fsynced; None if nothing is stored."""
    first: int
    """The sequence of the first record."""
    events: int
    """Records that are stored, or would be for another method than HEAD."""
    duplicates: Mapping[int, Place]
    """The place of the first event for each record that is not stored again, by its position in the batch's records."""


class AllRefused(NamedTuple):
    """The refusal of all events of a request, and their dead letters."""

    form: Form
    refusal: Refusal
    refused: list[Refused]


Outcome = Response | Stored | Queued | EventBatch | AllRefused
Steps = Generator[None, None, Outcome]
"""Long work on a body; it yields when other requests may run."""
