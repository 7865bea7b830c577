"""The dead letters as an audit counts them: those of sinks by log, those of requests by property and code."""

from collections import Counter

from msgspec import Struct

from collector.dead_letters.reader import read_letters
from collector.ops.audit.ranges import Range, coverage, runs
from wal.files import Files
from wal.folder import logs_at
from wal.tools.select import Selection


class RefusedEvents(Struct):
    """The events in all dead letters."""

    by_sink: dict[tuple[str, str], list[Range]]
    """The set of sequences that a sink refused of a log, by sink and log id."""
    rejected: Counter[tuple[int, int, str]]
    """Events that were rejected, by portal, property and code."""
    unnamed: int
    """Dead letters of sinks whose event has no id."""


def read_refused(directory: str, selection: Selection) -> RefusedEvents:
    """Read all dead letters; the times of the selection apply to the rejected events. Raises Broken, OSError."""
    sequences: dict[tuple[str, str], list[int]] = {}
    rejected: Counter[tuple[int, int, str]] = Counter()
    unnamed = 0
    # no worker may have written one yet
    for letter in read_letters(directory, Selection()) if logs_at(Files(), directory) else ():
        record = letter.record
        if not record.sink:
            if selection.since_ms <= record.received_at < selection.until_ms:
                events = sum(len(reason.indexes) for reason in record.refusals) or 1
                rejected[record.portal_id, record.prop_id, record.code] += events
        elif event := letter.event:
            sequences.setdefault((record.sink, event[0]), []).append(event[1])
        else:
            unnamed += 1
    sets = {key: coverage(runs(sorted(found)))[0] for key, found in sequences.items()}
    return RefusedEvents(sets, rejected, unnamed)
