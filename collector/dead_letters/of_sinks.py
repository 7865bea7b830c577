"""Dead letters of events that a sink refused for good."""

import asyncio
from typing import Final

import msgspec
from msgspec import Struct

from collector.dead_letters.reader import is_kept
from collector.dead_letters.writer import DeadLetters, Refused, Sender
from collector.errors import Refusal
from collector.ship.batch import Record


class _Record(Struct):
    """The members of a record that a dead letter has beside its line."""

    received_at: int
    portal_id: int
    prop_id: int
    s2s: bool
    ip: str | None = None
    user_agent: str | None = None
    referer: str | None = None


_decode: Final = msgspec.json.Decoder(_Record).decode


class SinkDeadLetters:
    """Writes the records that sinks refused into the dead letters of this worker."""

    def __init__(self, dead_letters: DeadLetters, directory: str) -> None:
        """`directory` holds the dead letters of all workers."""
        self._dead_letters = dead_letters
        self._directory = directory

    async def put(self, sink: str, event: Record, reason: str, *, maybe_again: bool) -> None:
        """Write a record with the sink's reason, durably. Raises WalError, OSError.

        With `maybe_again` it may be there already, and is then not written twice.
        """
        if maybe_again and await asyncio.to_thread(is_kept, self._directory, sink, event.line):
            return
        refused = Refused(Refusal("refused_by_sink", f"{sink}: {reason}"), event.line)
        await self._dead_letters.put_refused_by_sink(_sender(event), sink, refused)


def _sender(event: Record) -> Sender:
    try:
        known = _decode(event.line)
    except (msgspec.DecodeError, UnicodeDecodeError):  # any bytes of the log can become a dead letter
        return Sender(0, 0, event.timestamp_ms, None, None, None, is_s2s=False)
    return Sender(
        known.portal_id, known.prop_id, known.received_at, known.ip, known.user_agent, known.referer, known.s2s
    )
