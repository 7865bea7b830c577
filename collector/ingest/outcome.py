"""The outcome of a request's events, before the wait for the disk."""

import asyncio
from collections.abc import Generator
from typing import NamedTuple

from msgspec import Struct

from collector.dead_letters.writer import Form, Refused
from collector.errors import Refusal
from collector.http.response import Pending, Response
from collector.ingest.session import Session


class Stored(Pending, Struct, frozen=True):
    """One event, appended to the next block of the log."""

    sequence: int = 0
    event_id: bytes = b""


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


class StoredBatch(NamedTuple):
    """The place of a batch in the log."""

    durable: asyncio.Future[None] | None
    """Done when the batch is fsynced; None if nothing is stored."""
    first: int
    """The sequence of the first record."""


class AllRefused(NamedTuple):
    """The refusal of all events of a request, and their dead letters."""

    form: Form
    refusal: Refusal
    refused: list[Refused]


Outcome = Response | Stored | EventBatch | AllRefused
Steps = Generator[None, None, Outcome]
"""Long work on a body; it yields when other requests may run."""
