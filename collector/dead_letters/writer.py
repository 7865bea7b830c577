"""The log of what was refused, with the reason: nothing that a property sent is lost without a trace.

It stands beside both ways that data goes, since either may refuse. A letter holds what one request had refused, once:
of a batch the refused events alone, with the reasons by their index in the batch. So it is little longer than what was
sent. It may be several letters where that is longer than a line of the log.
"""

import asyncio
import contextlib
from base64 import b64encode
from collections.abc import Iterator, Sequence
from enum import Enum
from functools import partial
from typing import Final, NamedTuple

import msgspec

from collector.dead_letters.budget import HourlyBudget
from collector.errors import Refusal
from collector.ingest.nesting import is_deeper
from collector.long_work import computed
from collector.ops.notices import LOST_LETTER, Notices
from wal.committer import Committer
from wal.errors import WalError

_PART_BYTES: Final = 256 << 10
"""What is longer is kept in parts, since a line of the log is bounded."""
_JSON_BYTES: Final = 512 << 10
"""The same for JSON, which can't be kept in parts, but as it is."""
_TEXT_BYTES: Final = 512 << 10
"""Text that is longer as JSON goes into base64: JSON writes a control character in six bytes."""
_FEW_BYTES: Final = 4096
"""Text may be longer than base64 by this much: a person can read it."""
_MOST_LEVELS: Final = 256
"""JSON that is nested deeper is kept as text, so that every reader of a letter can decode it."""
_MOST_REASONS: Final = 16
"""Different reasons in one dead letter; the client got all of them."""


class Form(Enum):
    """What the raw bytes of a dead letter are, and so how they are read again."""

    JSON = "json"
    NDJSON = "ndjson"
    QUERY = "query"
    FORM = "form"
    """The body of a form, without the query of its request."""
    RECORD = "record"
    """A line of the log, which a sink refused."""


class Refused(NamedTuple):
    """One event that was refused, as it came."""

    refusal: Refusal
    raw: bytes
    batch_index: int | None = None
    """Its place in its batch, from 0; None where the request was this one event."""


class Sender(NamedTuple):
    """Where refused events came from. `received_ms` is Unix ms."""

    portal_id: int
    prop_id: int
    received_ms: int
    ip: str | None
    user_agent: str | None
    referer: str | None
    is_s2s: bool


class _Letter(NamedTuple):
    """A letter in the making: its members that tell the reason, and what holds the raw bytes."""

    reason: dict[str, object]
    form: Form
    content: dict[str, object]


class DeadLetters:
    """Writes dead letters under a budget of bytes an hour, of which no property may use up that of the others."""

    def __init__(self, committer: Committer, budget: HourlyBudget, notices: Notices) -> None:
        self._committer = committer
        self._budget = budget
        self._notices = notices

    async def put(self, sender: Sender, form: Form, refused: Sequence[Refused]) -> bool:
        """Keep these events of one request, durably, as far as the budget goes.

        False, and counted for the process log, where that could not be done for all of them.
        """
        try:
            is_whole, futures = True, set()
            length = sum(len(each.raw) for each in refused)
            for letter in await computed(length, partial(_listed, form, refused)):
                line = _record(self._committer, sender, letter)
                if not self._budget.take((sender.portal_id, sender.prop_id), len(line)):
                    is_whole = False
                    break
                futures.add(self._committer.append(line))  # before the next is made: its id is its place in the log
            for future in futures:
                await future
        except WalError as fault:
            self._notices.count(LOST_LETTER, type(fault).__name__, len(refused))
            return False
        return is_whole

    def put_short(self, sender: Sender, form: Form, refused: Refused) -> asyncio.Future[None] | None:
        """The same for one short event that is a request of its own, without a task, which would cost 5 us.

        The future is that of the letter's block; None where there is no letter.
        """
        (letter,) = _letters(form, [refused])
        line = _record(self._committer, sender, letter)
        if not self._budget.take((sender.portal_id, sender.prop_id), len(line)):
            return None
        try:
            future = self._committer.append(line)
        except WalError as fault:
            self._notices.count(LOST_LETTER, type(fault).__name__)
            return None
        future.add_done_callback(self._count_if_lost)
        return future

    def _count_if_lost(self, future: asyncio.Future[None]) -> None:
        if fault := future.exception():
            self._notices.count(LOST_LETTER, type(fault).__name__)

    async def put_refused_by_sink(self, sender: Sender, sink: str, refused: Refused) -> None:
        """Keep an event that was answered 200 and that a sink refuses, whatever the budget. Raises WalError."""
        futures = set()
        for letter in _letters(Form.RECORD, [refused]):
            letter.reason["sink"] = sink
            futures.add(self._committer.append(_record(self._committer, sender, letter)))
        for future in futures:
            await future


def _listed(form: Form, refused: Sequence[Refused]) -> list[_Letter]:
    return list(_letters(form, refused))


def _letters(form: Form, refused: Sequence[Refused]) -> Iterator[_Letter]:
    """The letters of one request."""
    if len(refused) == 1 and refused[0].batch_index is None:
        (one,) = refused
        for content in _contents(one.raw):
            yield _Letter(_reason(one.refusal), form, content)
        return
    embedded = [_embedded(each.raw) for each in refused]
    for group in _groups([each._replace(raw=raw) for each, raw in zip(refused, embedded, strict=True) if raw]):
        raw = b"[%b]" % b",".join([each.raw for each in group])
        yield _Letter(_reasons(group), Form.JSON, {"encoding": "json", "raw": msgspec.Raw(raw)})
    for group in _groups([each for each, raw in zip(refused, embedded, strict=True) if raw is None]):
        raws = [each.raw for each in group if each.raw]
        for content in _contents(b"\n".join(raws) if form is Form.NDJSON else b"[%b]" % b",".join(raws)):
            yield _Letter(_reasons(group), form, content)


def _groups(refused: list[Refused]) -> Iterator[list[Refused]]:
    """Events that fit into a line together; a longer one is alone."""
    group: list[Refused] = []
    length = 0
    for each in refused:
        length += len(each.raw) + 1
        if group and length > _PART_BYTES:
            yield group
            group, length = [], len(each.raw) + 1
        group.append(each)
    if group:
        yield group


def _reason(refusal: Refusal) -> dict[str, object]:
    return {"code": refusal.code, "reason": refusal.message, "errors": refusal.faults}


def _reasons(group: list[Refused]) -> dict[str, object]:
    """The reasons of events of a batch, each with the indexes that it applies to."""
    by_refusal: dict[Refusal, list[int | None]] = {}
    others: list[int | None] = []
    for each in group:
        known = each.refusal in by_refusal or len(by_refusal) < _MOST_REASONS
        (by_refusal.setdefault(each.refusal, []) if known else others).append(each.batch_index)
    refusals = [{**_reason(refusal), "indexes": indexes} for refusal, indexes in by_refusal.items()]
    if others:
        refusals.append({"code": group[0].refusal.code, "reason": "other reasons", "errors": (), "indexes": others})
    return {**_reason(group[0].refusal), "refusals": refusals}


def _contents(raw: bytes) -> Iterator[dict[str, object]]:
    """The raw bytes as they stand in letters, in one or in parts: as JSON if they are, else as text or in base64."""
    embedded = _embedded(raw) if len(raw) <= _JSON_BYTES else None
    if embedded:
        yield {"encoding": "json", "raw": msgspec.Raw(embedded)}
        return
    count = max(1, -(-len(raw) // _PART_BYTES))
    for number in range(count):
        part = {"part": number + 1, "of": count} if count > 1 else {}
        yield {**part, **_as_text(raw[number * _PART_BYTES : (number + 1) * _PART_BYTES])}


def _embedded(raw: bytes) -> bytes | None:
    """Valid JSON on one line, whitespace aside as it came; None for what is not, or is too deep or long to embed."""
    if len(raw) > _JSON_BYTES:
        return None
    try:
        raw.decode()
        _decode_any(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    if is_deeper(raw, _MOST_LEVELS):
        return None
    return msgspec.json.format(raw, indent=-1) if b"\n" in raw or b"\r" in raw else raw.strip()


def _record(committer: Committer, sender: Sender, letter: _Letter) -> bytes:
    record = {
        "id": f"{committer.log.log_id.decode()}-{committer.next_sequence}",
        "received_at": sender.received_ms,
        "portal_id": sender.portal_id,
        "prop_id": sender.prop_id,
        "ip": sender.ip,
        "user_agent": sender.user_agent,
        "referer": sender.referer,
        "s2s": sender.is_s2s,
        **letter.reason,
        "form": letter.form.value,
        **letter.content,
    }
    return msgspec.json.encode(record) + b"\n"


def _as_text(raw: bytes) -> dict[str, object]:
    with contextlib.suppress(UnicodeDecodeError):
        text = msgspec.json.encode(raw.decode())
        if len(text) <= _TEXT_BYTES and 3 * len(text) <= 4 * len(raw) + _FEW_BYTES:
            return {"encoding": "utf-8", "raw": msgspec.Raw(text)}
    return {"encoding": "base64", "raw": b64encode(raw).decode()}


_decode_any: Final = msgspec.json.Decoder(msgspec.Raw).decode
