"""Where events go that a sink will never take: the dead letters of this worker."""

import asyncio
from typing import Final

import msgspec
from msgspec import Struct

from collector.dead_letters import DeadLetters, Form, Refused, Sender
from collector.errors import Rejected
from collector.letters import is_kept
from collector.ship.batch import Event


class _Record(Struct):
    """What a dead letter tells of a record beside its line."""

    id: str
    received_at: int
    portal_id: int
    prop_id: int
    s2s: bool
    ip: str | None = None
    user_agent: str | None = None
    referer: str | None = None


_decode: Final = msgspec.json.Decoder(_Record).decode


class SinkLetters:
    """Dead letters from sinks."""

    def __init__(self, dead_letters: DeadLetters, directory: str) -> None:
        """`directory` holds the dead letters of all workers."""
        self._dead_letters = dead_letters
        self._directory = directory

    async def bury(self, sink: str, event: Event, reason: str, *, maybe_again: bool) -> None:
        """Keep an event, durably, with the sink's reason. Raises WalError, OSError.

        With `maybe_again` it may be there already, and is then not kept twice.
        """
        record = _decode(event.line)
        if maybe_again and await asyncio.to_thread(is_kept, self._directory, sink, record.id):
            return
        sender = Sender(
            record.portal_id,
            record.prop_id,
            record.received_at,
            record.ip,
            record.user_agent,
            record.referer,
            record.s2s,
        )
        await self._dead_letters.keep(sender, Refused(Rejected(f"{sink}: {reason}"), Form.RECORD, event.line, sink))
