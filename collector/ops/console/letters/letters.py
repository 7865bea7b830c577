"""Dead letters for the console: lists, counts by reason, and one whole. Reads the logs backwards, newest first."""

import os
import time
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from functools import lru_cache
from typing import Final, NamedTuple

import zstandard

from collector.dead_letters.content import raw_of
from collector.dead_letters.ledger import redrive_logs, redriven_letters
from collector.dead_letters.letter_selection import reason_of
from collector.dead_letters.reader import DeadLetter, DeadLetterRecord, decode_letter, letter_in
from collector.errors import UNDECODABLE
from collector.ops.console.api.refusals import refused
from collector.ops.console.lookup.find_line import FoundLine, LostLine, find_sequence
from collector.ops.console.lookup.newest_lines import NewestLines
from collector.ops.console.rows.redaction import HIDDEN
from collector.settings import Settings
from wal.files import Files
from wal.folder import LogFolder, logs_at

_LIST_CPU_SECONDS: Final = 0.2
_COUNT_CPU_SECONDS: Final = 1.0
"""For the counts, which have no next page. Half a million letters are read in that time."""
_MOST_REASONS: Final = 200
"""Reasons that are counted. They hold text of senders, so that there may be as many as letters."""
_OTHER: Final = "other reasons"
_FRAME_HEAD: Final = 32
"""Base64 digits of a frame of zstd that tell the length of its content."""


class LetterQuery(NamedTuple):
    """Criteria of dead letters: the reason as it is shown, PORTAL/PROP, and the Unix ms of the oldest."""

    reason: str = ""
    property: str = ""
    since: int = 0
    is_hiding: bool = False
    """Whether sinks' reasons are hidden: they may quote the event."""

    def has(self, record: DeadLetterRecord) -> bool:
        """Whether a letter has the property and the reason."""
        if self.property and self.property != f"{record.portal_id}/{record.prop_id}":
            return False
        return not self.reason or self.reason == self.shown_reason(record)

    def shown_reason(self, record: DeadLetterRecord) -> str:
        """The reason of a letter in a few words."""
        if record.sink and self.is_hiding:
            return f"{record.sink}: {HIDDEN}"
        return reason_of(record.reason, record.errors)


class LetterLine(NamedTuple):
    """A dead letter of a list; `bytes` is the length of its body, None where only all of its parts tell that."""

    id: str
    received_ms: int
    property: str
    dialect: str
    reason: str
    bytes: int | None
    sink: str
    redriven: bool


class LetterPage(NamedTuple):
    """Some dead letters, newest first, and where to go on; None after the last one."""

    letters: list[LetterLine]
    next: str | None


class ReasonCounts(NamedTuple):
    """Letters by reason and by whether a sink refused them. Those older than `back_to_ms` are not counted."""

    counts: Counter[tuple[str, bool]]
    back_to_ms: int | None


def letter_page(settings: Settings, query: LetterQuery, after: str | None, limit: int) -> LetterPage:
    """The letters that a query selects. Also after a short page more may follow.

    Raises Rejected, WalError, OSError.
    """
    redriven = _redriven(settings.log.dir)
    found: list[LetterLine] = []
    deadline = time.thread_time() + _LIST_CPU_SECONDS
    with closing(NewestLines(_sources(settings), after, None)) as lines:
        for record in _records(lines, query):
            if record:
                found.append(_line_of(record, query.shown_reason(record), is_redriven=record.id in redriven))
            if len(found) == limit or time.thread_time() > deadline:
                return LetterPage(found, lines.places)
    return LetterPage(found, None)


def count_reasons(settings: Settings, query: LetterQuery) -> ReasonCounts:
    """Count the letters that a query selects. Raises WalError, OSError."""
    counts: Counter[tuple[str, bool]] = Counter()
    deadline = time.thread_time() + _COUNT_CPU_SECONDS
    with closing(NewestLines(_sources(settings), None, None)) as lines:
        for record in _records(lines, query):
            if record:
                key = query.shown_reason(record), bool(record.sink)
                counts[key if key in counts or len(counts) < _MOST_REASONS else (_OTHER, key[1])] += 1
            if time.thread_time() > deadline:
                return ReasonCounts(counts, lines.back_to_ms)
    return ReasonCounts(counts, None)


def read_letter(found: FoundLine) -> DeadLetter:
    """A dead letter with all its parts. Raises Rejected if it is not whole, WalError, OSError."""
    try:
        records = [decode_letter(found.line)]
        number = found.sequence - records[0].part
        for at in range(2, records[0].of + 1):
            part = find_sequence(found.folder, number + at)
            if part is None or isinstance(part, LostLine):
                raise refused("gone", f"part {at} of {records[0].of} of this dead letter is not in the log any more")
            records.append(decode_letter(part.line))
        return DeadLetter(records[0], raw_of(records[0].encoding, [bytes(record.raw) for record in records]))
    except (*UNDECODABLE, ValueError) as error:
        raise refused(
            "unreadable", f"{found.folder.path}: sequence {found.sequence} is no dead letter: {error}"
        ) from None


def _sources(settings: Settings) -> dict[str, LogFolder]:
    return {os.path.basename(folder.path): folder for folder in logs_at(Files(), settings.dead_letters.dir)}


def _records(lines: NewestLines, query: LetterQuery) -> Iterator[DeadLetterRecord | None]:
    """Each line: the letter that begins there if it is selected, else None."""
    for line in lines:
        if line and line.header.timestamp_ms < query.since:
            return
        record = line and letter_in(line.line)
        yield record if record and record.part == 1 and query.has(record) else None


def _line_of(record: DeadLetterRecord, reason: str, *, is_redriven: bool) -> LetterLine:
    return LetterLine(
        record.id,
        record.received_at,
        f"{record.portal_id}/{record.prop_id}",
        record.dialect,
        reason,
        _length(record),
        record.sink,
        is_redriven,
    )


def _length(record: DeadLetterRecord) -> int | None:
    """The length of the body, by the first part alone."""
    raw = bytes(record.raw)
    try:
        if record.encoding == "json":
            return len(raw)
        if record.encoding == "zstd+base64":
            return zstandard.frame_content_size(b64decode(raw[1 : 1 + _FRAME_HEAD]))
        return len(raw_of(record.encoding, [raw])) if record.of == 1 else None
    except (ValueError, zstandard.ZstdError):
        return None


def _redriven(directory: str) -> frozenset[str]:
    """The letters of which at least one event was redriven."""
    return _read_redriven(directory, tuple(map(_state, redrive_logs(directory))))


def _state(folder: LogFolder) -> tuple[str, int]:
    """What changes whenever a log has grown."""
    names = folder.segments()
    return (str(names[-1]), os.path.getsize(folder.segment_file(names[-1]))) if names else ("", 0)


@lru_cache(maxsize=1)
def _read_redriven(directory: str, _: object) -> frozenset[str]:
    """Read again only after a redrive."""
    return frozenset(name.partition("/")[0] for name in redriven_letters(directory))
