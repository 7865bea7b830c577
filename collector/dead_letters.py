"""The log of what was refused, with the reason: nothing that a property sent is lost without a trace.

It stands beside both ways that data goes, since either may refuse.
"""

import contextlib
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
_TEXT_BYTES: Final = 512 << 10
"""What is longer as JSON goes into base64: JSON writes a control character in six bytes, and a line is bounded."""

logger = logging.getLogger(__name__)


class Form(Enum):
    """What the raw bytes of a dead letter are, and so how they are read again."""

    JSON = "json"
    NDJSON = "ndjson"
    QUERY = "query"
    RECORD = "record"
    """A line of the log, which a sink refused."""


class Refused(NamedTuple):
    """One event that was refused, as it came, and what was known of the request, as far as it may be stored."""

    error: Rejected
    form: Form
    raw: bytes
    sink: str = ""
    """The sink that refused it; empty where the rules of its property did."""


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
        """Keep these events, durably, as far as the budget goes.

        False, with a line in the program's log, where that could not be done for all of them.
        """
        try:
            kept = {self._committer.append(line) for line in self._lines(sender, refused)}
            is_whole = not self._is_over
            for each in kept:
                await each
        except WalError as fault:
            logger.warning("a dead letter was not kept: %s", fault)
            return False
        return is_whole

    async def keep(self, sender: Sender, refused: Refused) -> None:
        """Keep an event that was answered 200, whatever the budget. Raises WalError."""
        kept = {self._committer.append(_record(self._committer, sender, refused, part)) for part in _parts(refused)}
        for each in kept:
            await each

    def _lines(self, sender: Sender, refused: list[Refused]) -> Iterator[bytes]:
        """Each to be appended before the next is asked for, since its id is its place in the log."""
        for each in refused:
            for part in _parts(each):
                line = _record(self._committer, sender, each, part)
                if not self._is_in_budget(len(line)):
                    return
                yield line

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


def _record(committer: Committer, sender: Sender, refused: Refused, part: _Part) -> bytes:
    record = {
        "id": f"{committer.log.log_id.decode()}-{committer.next_sequence}",
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
        **({"sink": refused.sink} if refused.sink else {}),
        **({"part": part.number, "of": part.of} if part.of > 1 else {}),
        **_as_json(part.raw),
    }
    return msgspec.json.encode(record) + b"\n"


def _as_json(raw: bytes) -> dict[str, str | msgspec.Raw]:
    with contextlib.suppress(UnicodeDecodeError):
        text = msgspec.json.encode(raw.decode())
        if len(text) <= _TEXT_BYTES:
            return {"encoding": "utf-8", "raw": msgspec.Raw(text)}
    return {"encoding": "base64", "raw": b64encode(raw).decode()}
