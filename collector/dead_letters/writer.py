"""The log of refused events, with the reasons: nothing that a property sent is lost without a trace.

It stands beside both ways that data goes, since either may refuse. A letter holds what one request had refused, once:
of a batch the refused events alone, with the reasons by their index in the batch. There are several letters where that
is longer than a line of the log. They have at most the bytes that were sent, 512 an event and 8 KiB. Only bytes
that hardly compress take more, up to a third (content.py says why).
"""

import asyncio
from collections.abc import Iterator, Sequence
from enum import Enum
from functools import partial
from typing import Final, NamedTuple

import msgspec

from collector.dead_letters.budget import HourlyBudget
from collector.dead_letters.content import LINE_BYTES, contents, embedded
from collector.errors import Refusal
from collector.long_work import computed
from collector.ops.counters import CounterBlock
from collector.ops.metric_table import DEAD_LETTERS
from collector.ops.notices import Notices
from collector.process_log.of_requests import DeadLetterLost
from wal.committer import Committer
from wal.errors import WalError

_ROOM_BYTES: Final = 4096
"""Bytes by which the letters of a request may be longer for the sake of readers: text instead of compressed bytes, and
more reasons than the first. A request may add twice as much beside its body."""
_EVENT_ROOM_BYTES: Final = 128
"""The same for each event of a batch, which may add four times as much."""
_MOST_REASONS: Final = 16
"""Different reasons in one dead letter, as far as they fit; the client got all of them."""


class Form(Enum):
    """The form of the raw bytes of a dead letter, by which they are read again."""

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
    """The origin of refused events. `received_ms` is Unix ms."""

    portal_id: int
    prop_id: int
    received_ms: int
    ip: str | None
    user_agent: str | None
    referer: str | None
    is_s2s: bool
    dialect: str = ""
    """The dialect of the client; empty for `/event`."""


class _Letter(NamedTuple):
    """A letter in the making: its members with the reason, and those with the raw bytes."""

    reason: dict[str, object]
    form: Form
    content: dict[str, object]


class DeadLetters:
    """Writes dead letters under a budget of bytes an hour, of which no property may use up the share of the others."""

    def __init__(self, committer: Committer, budget: HourlyBudget, notices: Notices, counters: CounterBlock) -> None:
        self._committer = committer
        self._counters = counters
        self.budget = budget
        self._notices = notices

    async def put(self, sender: Sender, form: Form, refused: Sequence[Refused], share: int = 1) -> bool:
        """Keep these events of one request, durably, as far as the budget goes.

        `share`: the calls for the same request, which have its room together.
        False, and counted for the process log, where that could not be done for all of them.
        """
        try:
            is_whole, futures = True, set()
            length = sum(len(event.raw) for event in refused)
            for letter in await computed(length, partial(_listed, form, refused, share)):
                line = _record(self._committer, sender, letter)
                if not self.budget.take((sender.portal_id, sender.prop_id), len(line)):
                    is_whole = False
                    break
                futures.add(self._append(letter, line))  # before the next is made: its id is its place in the log
            for future in futures:
                await future
        except WalError as fault:
            self._notices.count(DeadLetterLost, type(fault).__name__, len(refused))
            return False
        return is_whole

    def put_short(self, sender: Sender, form: Form, refused: Refused) -> asyncio.Future[None] | None:
        """Put one short event that is a whole request. Starts no task, which saves 5 us.

        The future is that of the letter's block; None where there is no letter.
        """
        (letter,) = _letters(form, [refused])
        line = _record(self._committer, sender, letter)
        if not self.budget.take((sender.portal_id, sender.prop_id), len(line)):
            return None
        try:
            future = self._append(letter, line)
        except WalError as fault:
            self._notices.count(DeadLetterLost, type(fault).__name__)
            return None
        future.add_done_callback(self._count_if_lost)
        return future

    def _count_if_lost(self, future: asyncio.Future[None]) -> None:
        if fault := future.exception():
            self._notices.count(DeadLetterLost, type(fault).__name__)

    async def put_refused_by_sink(self, sender: Sender, sink: str, refused: Refused) -> None:
        """Keep an event that was answered 200 and that a sink refuses, whatever the budget. Raises WalError."""
        futures = set()
        for letter in await computed(len(refused.raw), partial(_listed, Form.RECORD, [refused])):
            letter.reason["sink"] = sink
            futures.add(self._append(letter, _record(self._committer, sender, letter)))
        for future in futures:
            await future

    def _append(self, letter: _Letter, line: bytes) -> asyncio.Future[None]:
        future = self._committer.append(line)
        future.add_done_callback(partial(self._count, str(letter.reason["code"])))
        return future

    def _count(self, code: str, future: asyncio.Future[None]) -> None:
        if future.exception() is None:
            self._counters.add(1, DEAD_LETTERS.name, code)


def _listed(form: Form, refused: Sequence[Refused], share: int = 1) -> list[_Letter]:
    return list(_letters(form, refused, _ROOM_BYTES // share))


def _letters(form: Form, refused: Sequence[Refused], room_bytes: int = _ROOM_BYTES) -> Iterator[_Letter]:
    """The letters of one request."""
    if len(refused) == 1 and refused[0].batch_index is None:
        (one,) = refused
        for content in contents(one.raw, room_bytes):
            yield _Letter(_reason(one.refusal), form, content)
        return
    jsons = [embedded(event.raw) for event in refused]
    groups = list(_groups([event._replace(raw=raw) for event, raw in zip(refused, jsons, strict=True) if raw]))
    others = list(_groups([event for event, raw in zip(refused, jsons, strict=True) if raw is None]))
    share = room_bytes // (len(groups) + len(others))
    for group in groups:
        raw = b"[%b]" % b",".join([event.raw for event in group])
        reasons = _reasons(group, share + _EVENT_ROOM_BYTES * len(group))
        yield _Letter(reasons, Form.JSON, {"encoding": "json", "raw": msgspec.Raw(raw)})
    for group in others:
        raws = [event.raw for event in group if event.raw]
        raw = b"\n".join(raws) if form is Form.NDJSON else b"[%b]" % b",".join(raws)
        room = share + _EVENT_ROOM_BYTES * len(group)
        for content in contents(raw, room):
            yield _Letter(_reasons(group, room), form, content)


def _groups(refused: list[Refused]) -> Iterator[list[Refused]]:
    """Events that fit into a line together; a longer one is alone."""
    group: list[Refused] = []
    length = 0
    for event in refused:
        length += len(event.raw) + 1
        if group and length > LINE_BYTES:
            yield group
            group, length = [], len(event.raw) + 1
        group.append(event)
    if group:
        yield group


def _reason(refusal: Refusal) -> dict[str, object]:
    return {"code": refusal.code, "reason": refusal.message, "errors": refusal.faults}


def _reasons(group: list[Refused], room: int) -> dict[str, object]:
    """The reasons of events of a batch, each with the indexes that it applies to: as many as fit into `room` bytes."""
    by_refusal: dict[Refusal, list[int | None]] = {}
    others: list[int | None] = []
    for event in group:
        if event.refusal not in by_refusal and len(by_refusal) < _MOST_REASONS:
            length = len(msgspec.json.encode(_reason(event.refusal)))
            if length <= room or not by_refusal:
                by_refusal[event.refusal] = []
                room -= length
        by_refusal.get(event.refusal, others).append(event.batch_index)
    refusals = [{**_reason(refusal), "indexes": indexes} for refusal, indexes in by_refusal.items()]
    if others:
        refusals.append({"code": group[0].refusal.code, "reason": "other reasons", "errors": (), "indexes": others})
    return {**_reason(group[0].refusal), "refusals": refusals}


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
        **({"dialect": sender.dialect} if sender.dialect else {}),
        **letter.reason,
        "form": letter.form.value,
        **letter.content,
    }
    return msgspec.json.encode(record) + b"\n"
