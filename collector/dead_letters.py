"""The log of what was refused, with the reason: nothing that a property sent is lost without a trace.

It stands beside both ways that data goes, since either may refuse.
"""

import logging
from base64 import b64encode
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Final, NamedTuple

import msgspec

from collector.errors import Rejected
from wal.committer import Committer
from wal.errors import WalError

_HOUR_MS: Final = 3_600_000
_PART_BYTES: Final = 256 << 10
"""What is longer is kept in parts, since a line of the log is bounded."""

logger = logging.getLogger(__name__)


class Form(Enum):
    """What the raw bytes of a dead letter are, and so how they are read again."""

    JSON = "json"
    QUERY = "query"


class Refused(NamedTuple):
    """One event that was refused, as it came, and what was known of the request, as far as it may be stored."""

    error: Rejected
    form: Form
    raw: bytes


class Sender(NamedTuple):
    """Where refused events came from. `received_ms` is Unix ms."""

    portal_id: int
    prop_id: int
    received_ms: int
    ip: str | None
    user_agent: str | None
    referer: str | None
    is_s2s: bool


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

    async def put(self, sender: Sender, refused: list[Refused]) -> bool:
        """Keep these events, durably, and say so; False, with a line in the program's log, where that can't be done."""
        lines: list[bytes] = []
        for each in refused:
            for part in _parts(each):
                line = _record(self._committer, len(lines), sender, each, part)
                if not self._is_in_budget(len(line)):
                    return False
                lines.append(line)
        try:
            await self._committer.append(b"".join(lines), len(lines))
        except WalError as fault:
            logger.warning("a dead letter was not kept: %s", fault)
            return False
        return True

    def _is_in_budget(self, length: int) -> bool:
        hour = self._clock() // _HOUR_MS
        if hour != self._hour:
            self._hour, self._left, self._is_over = hour, self._bytes_per_hour, False
        if self._is_over or length > self._left:
            if not self._is_over:
                logger.warning("dead letters are over %d bytes this hour, the rest is not kept", self._bytes_per_hour)
            self._is_over = True
            return False
        self._left -= length
        return True


class _Part(NamedTuple):
    number: int
    of: int
    raw: bytes


def _parts(refused: Refused) -> Iterator[_Part]:
    count = max(1, -(-len(refused.raw) // _PART_BYTES))
    for number in range(count):
        yield _Part(number + 1, count, refused.raw[number * _PART_BYTES : (number + 1) * _PART_BYTES])


def _record(committer: Committer, offset: int, sender: Sender, refused: Refused, part: _Part) -> bytes:
    try:
        body = {"encoding": "utf-8", "raw": part.raw.decode()}
    except UnicodeDecodeError:
        body = {"encoding": "base64", "raw": b64encode(part.raw).decode()}
    record = {
        "id": f"{committer.log.log_id.decode()}-{committer.next_sequence + offset}",
        "received_at": sender.received_ms,
        "portal_id": sender.portal_id,
        "prop_id": sender.prop_id,
        "ip": sender.ip,
        "user_agent": sender.user_agent,
        "referer": sender.referer,
        "s2s": sender.is_s2s,
        "reason": refused.error.message,
        "errors": refused.error.faults,
        "form": refused.form.value,
        **({"part": part.number, "of": part.of} if part.of > 1 else {}),
        **body,
    }
    return msgspec.json.encode(record) + b"\n"
