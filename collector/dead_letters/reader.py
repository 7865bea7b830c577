"""Reads dead letters, for `collector dead` and `collector redrive`."""

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta, Struct

from collector.dead_letters.content import Encoding, raw_of
from collector.dead_letters.writer import Form
from collector.errors import UNDECODABLE, Fault
from collector.process_log.of_shards import DeadLettersUnreadable
from wal.files import Files
from wal.tools.follow import Follower
from wal.tools.select import Selection


class Reason(Struct, frozen=True):
    """Why some events of a batch were refused, and their places in the batch."""

    reason: str
    errors: tuple[Fault, ...]
    indexes: tuple[int, ...]
    code: str = ""


class DeadLetterRecord(Struct, frozen=True):
    """One line of the log of dead letters, or several that were one event or one batch."""

    id: str
    received_at: int
    portal_id: int
    prop_id: int
    reason: str
    errors: tuple[Fault, ...]
    form: Form
    encoding: Encoding
    raw: msgspec.Raw
    code: str = ""
    refusals: tuple[Reason, ...] = ()
    """Of a batch: then the letter has its refused events alone, in order."""
    ip: str | None = None
    user_agent: str | None = None
    referer: str | None = None
    s2s: bool = False
    dialect: str = ""
    sink: str = ""
    part: int = 1
    of: int = 1


class DeadLetter(Struct, frozen=True):
    """A dead letter with all its parts: `record` is the first of them, `body` the bytes of all."""

    record: DeadLetterRecord
    body: bytes

    @property
    def event(self) -> tuple[str, int] | None:
        """The log and the sequence of the event that a sink refused; None if the body is not a record of ours."""
        try:
            log_id, sequence = _decode_id(self.body).id.split("-")
        except UNDECODABLE:
            return None
        return log_id, int(sequence)


class _Event(Struct):
    id: Annotated[str, Meta(pattern=r"\A[0-9a-f]{16}-[0-9]{1,16}\Z")]


class _Part(NamedTuple):
    record: DeadLetterRecord
    line: bytes


decode_letter: Final = msgspec.json.Decoder(DeadLetterRecord).decode
"""Raises UNDECODABLE."""
_decode_id: Final = msgspec.json.Decoder(_Event).decode


def letter_in(line: bytes) -> DeadLetterRecord | None:
    """The dead letter in a line, or the part of one; None if the line is neither."""
    try:
        return decode_letter(line)
    except UNDECODABLE:
        return None


def read_letters(directory: str, selection: Selection) -> Generator[DeadLetter, None, None]:
    """The selected dead letters below `directory`, in order of time; one that lacks a part is left out.

    The values of `where` are those of the first part, since each part has an id of its own.
    Damage and lines that are not dead letters are reported on stderr and skipped. Raises Broken, OSError.
    """
    with closing(Follower(Files(), directory, selection._replace(where=()), is_raw=True)) as follower:
        yield from _letters(directory, follower.new_lines(), selection)


def _letters(directory: str, lines: Iterator[bytes], selection: Selection) -> Iterator[DeadLetter]:
    """The letters of these lines with the values of the selection, for the process log of this directory."""
    begun: dict[str, list[_Part]] = {}
    unreadable = 0
    for line in lines:
        letter = letter_in(line)
        if letter is None:
            unreadable += 1
            continue
        log_id, _, sequence = letter.id.rpartition("-")
        parts = begun.pop(log_id, [])  # they stand side by side in their log; letters of other logs come between
        if parts and parts[-1].record.id != f"{log_id}-{int(sequence) - 1}":
            parts = []
        parts = [*parts, _Part(letter, line)]
        if letter.part == letter.of == len(parts):
            if not selection.has_values_of(parts[0].line):
                continue
            try:
                body = raw_of(letter.encoding, [bytes(part.record.raw) for part in parts])
            except ValueError:
                unreadable += len(parts)
            else:
                yield DeadLetter(parts[0].record, body)
        elif letter.part == len(parts):
            begun[log_id] = parts
    if unreadable:
        DeadLettersUnreadable(directory, unreadable).write()


def members_to_show(letter: DeadLetterRecord) -> dict[str, object]:
    """The members of a dead letter as JSON values, without those that say how its body is stored."""
    members: dict[str, object] = msgspec.json.decode(msgspec.json.encode(letter))
    return {name: value for name, value in members.items() if name not in ("encoding", "raw", "part", "of")}


def is_kept(directory: str, sink: str, line: bytes) -> bool:
    """Whether there is a dead letter of this line of the log from this sink. Raises Broken, OSError."""
    with closing(read_letters(directory, Selection(where=(("sink", sink),)))) as letters:
        return any(letter.body == line for letter in letters)
