"""A format of files, and the formats by name."""

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import NamedTuple, cast

from collector.ship.batch import Part


class FileEvents(NamedTuple):
    """The events of a file, in their order there: by sequence or, of relayed events without one, by id.

    A relayed event keeps the id of its first log, so that only the log that it was relayed to knows its sequence there.
    """

    sequences: list[int]
    relayed: Sequence[str] = ()


class Encoding(NamedTuple):
    """A format: `encode` turns parts of the log with this id into bytes; `is_same` compares the events of two files.

    `events` reads the events of a file of the log with this id. It raises ValueError, with the reason, for a file that
    is not whole or that holds something else.
    """

    suffix: str
    content_type: str
    encode: Callable[[str, Sequence[Part]], bytes]
    is_same: Callable[[bytes, bytes], bool]
    events: Callable[[str, bytes], FileEvents]


def events_of(log_id: str, event_ids: Iterable[str]) -> FileEvents:
    """The events of a file of this log by their ids, which are `<log_id>-<sequence>`."""
    sequences: list[int] = []
    relayed: list[str] = []
    for event_id in event_ids:
        log, _, sequence = event_id.rpartition("-")
        if log == log_id and sequence.isdecimal():
            sequences.append(int(sequence))
        else:
            relayed.append(event_id)
    return FileEvents(sequences, relayed)


def encoding(name: str) -> Encoding:
    """The format `ndjson` or `parquet`. Raises ImportError if the library of the latter is not installed."""
    return cast(Encoding, import_module(f"collector.ship.formats.{name}").ENCODING)
