"""What became of a request's events, before the disk is waited for."""

import asyncio
from collections.abc import Generator
from typing import NamedTuple

from msgspec import Struct

from collector.dead_letters.writer import Form, Refused
from collector.errors import Refusal
from collector.http.response import Pending, Response
from collector.ingest.session import Session


class Stored(Pending, Struct, frozen=True):
    """One event, which is in the next block of the log."""

    sequence: int = 0
    event_id: bytes = b""


class EventBatch(NamedTuple):
    """The events of a body as records, which are not in the log yet."""

    form: Form
    records: list[bytes]
    first: int
    """The sequence that the first record was made for."""
    session: Session | None
    """Of the last record."""
    refused: list[Refused]
    """The events that failed validation."""


class StoredBatch(NamedTuple):
    """Where a batch is in the log."""

    durable: asyncio.Future[None] | None
    """Done once it is fsynced; None where nothing is stored."""
    first: int
    """The sequence of the first record."""


class AllRefused(NamedTuple):
    """A request of which no event is stored, and what of it belongs into the dead letters."""

    form: Form
    refusal: Refusal
    refused: list[Refused]


Outcome = Response | Stored | EventBatch | AllRefused
Steps = Generator[None, None, Outcome]
"""Long work on a body; it yields where others may have their turn."""
