"""The log of what was refused, with the reason: nothing that a property sent is lost without a trace.

It stands beside both ways that data goes, since either may refuse.
"""

import logging
from base64 import b64encode
from collections.abc import Callable
from typing import Final

import msgspec

from collector.errors import Rejected
from collector.registry import Property
from wal.committer import Committer
from wal.errors import WalError

_HOUR_MS: Final = 3_600_000

logger = logging.getLogger(__name__)


class DeadLetters:
    """Writes dead letters under a budget of bytes an hour."""

    def __init__(self, committer: Committer, bytes_per_hour: int, clock: Callable[[], int]) -> None:
        """`clock` gives Unix milliseconds."""
        self._committer = committer
        self._bytes_per_hour = bytes_per_hour
        self._clock = clock
        self._hour = 0
        self._left = 0
        self._is_over = False

    async def put(self, prop: Property, error: Rejected, raw: bytes) -> bool:
        """Keep `raw`, durably, and say so; False, with a line in the program's log, where that can't be done."""
        now_ms = self._clock()
        line = _record(self._committer, now_ms, prop, error, raw)
        if not self._is_in_budget(now_ms, len(line)):
            return False
        try:
            await self._committer.append(line)
        except WalError as fault:
            logger.warning("a dead letter was not kept: %s", fault)
            return False
        return True

    def _is_in_budget(self, now_ms: int, length: int) -> bool:
        hour = now_ms // _HOUR_MS
        if hour != self._hour:
            self._hour, self._left, self._is_over = hour, self._bytes_per_hour, False
        if self._is_over or length > self._left:
            if not self._is_over:
                logger.warning("dead letters are over %d bytes this hour, the rest is not kept", self._bytes_per_hour)
            self._is_over = True
            return False
        self._left -= length
        return True


def _record(committer: Committer, now_ms: int, prop: Property, error: Rejected, raw: bytes) -> bytes:
    try:
        body = {"encoding": "utf-8", "raw": raw.decode()}
    except UnicodeDecodeError:
        body = {"encoding": "base64", "raw": b64encode(raw).decode()}
    record = {
        "id": f"{committer.log.log_id.decode()}-{committer.next_sequence}",
        "received_at": now_ms,
        "portal_id": prop.portal_id,
        "prop_id": prop.prop_id,
        "reason": error.message,
        "errors": [fault._asdict() for fault in error.faults],
        **body,
    }
    return msgspec.json.encode(record) + b"\n"
