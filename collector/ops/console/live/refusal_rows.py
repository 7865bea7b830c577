"""The refusals of all workers that left no record, as rows of the live list."""

from collections.abc import Sequence

from collector.ops.console.accounts.counters import DUPLICATE_CODE
from collector.ops.console.rows.rows import DUPLICATE, MOST_CHARACTERS, REJECTED, EventRow
from collector.ops.counters import CounterBlock
from collector.ops.refusals import RefusalEntry, read_refusals
from collector.settings.paths import DIALECT_PATHS


class RefusalRows:
    """Gives each refusal once, in one process."""

    def __init__(self, blocks: Sequence[CounterBlock]) -> None:
        """`blocks` are those of all workers."""
        self._blocks = blocks
        self._numbers = [0] * len(blocks)

    def read(self) -> list[EventRow]:
        """The refusals since the last call, oldest first. Those that newer ones have replaced are missing."""
        found: list[RefusalEntry] = []
        for at, block in enumerate(self._blocks):
            entries, self._numbers[at] = read_refusals(block, self._numbers[at])
            found += entries
        return [_row(entry) for entry in sorted(found, key=lambda entry: entry.unix_ms)]


def _row(entry: RefusalEntry) -> EventRow:
    log_id, _, sequence = entry.event_id.rpartition("-")
    return EventRow(
        received_ms=entry.unix_ms,
        kind=DUPLICATE if entry.code == DUPLICATE_CODE else REJECTED,
        log_id=log_id or None,
        sequence=int(sequence or 0),
        property=entry.property[:MOST_CHARACTERS] or None,
        dialect=_dialect_of(entry.path),
        code=entry.code,
    )


def _dialect_of(path: str) -> str | None:
    """The dialect whose path this is, as far as the path alone tells."""
    return next((name for name, paths in DIALECT_PATHS.items() if path.removesuffix("/") in paths), None)
