"""The selection of dead letters: by criteria for lines of any log, and by those for dead letters alone."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from collector.dead_letters.reader import DeadLetter, DeadLetterRecord, read_letters
from collector.errors import Fault
from wal.tools.select import Selection

_LONGEST_REASON: Final = 200


class LetterSelection(NamedTuple):
    """Criteria of dead letters, all of which hold. Without ids a letter may have any."""

    lines: Selection = Selection()
    reason: str | None = None
    """As `reason_of` has it."""
    ids: frozenset[str] = frozenset()

    def read(self, directory: str) -> Iterator[DeadLetter]:
        """The selected dead letters below `directory`, in order of time. Raises Broken, OSError."""
        return (letter for letter in read_letters(directory, self.lines) if self.has(letter.record))

    def has(self, record: DeadLetterRecord) -> bool:
        """Whether a letter has the reason and one of the ids."""
        if self.ids and record.id not in self.ids:
            return False
        return self.reason is None or self.reason == reason_of(record.reason, record.errors)


def reason_of(reason: str, errors: tuple[Fault, ...]) -> str:
    """The reason of a letter in a few words, by which letters are counted: its first fault, such as `ea: missing`."""
    text = f"{errors[0].field}: {errors[0].message}" if errors else reason
    return text[:_LONGEST_REASON]
