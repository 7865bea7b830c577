"""A format of files, and the formats by name."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Final, NamedTuple, cast

import msgspec

from collector.ship.batch import Part

UNFIT: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
"""The errors of decoding a record."""


class Encoding(NamedTuple):
    """A format: `encode` turns parts of the log with this id into bytes; `is_same` compares the events of two files.

    `sequences` reads the sequences of the events in a file of the log with this id, in their order there. It raises
    ValueError, with the reason, for a file that is not whole or that holds something else.
    """

    suffix: str
    content_type: str
    encode: Callable[[str, Sequence[Part]], bytes]
    is_same: Callable[[bytes, bytes], bool]
    sequences: Callable[[str, bytes], list[int]]


def sequence_of(log_id: str, event_id: str) -> int:
    """The sequence in the id of an event, which is `<log_id>-<sequence>`. Raises ValueError for one of another log."""
    log, _, sequence = event_id.rpartition("-")
    if log != log_id or not sequence.isdecimal():
        raise ValueError(f"an event of another log: {event_id[:60]!r}")
    return int(sequence)


def encoding(name: str) -> Encoding:
    """The format `ndjson` or `parquet`. Raises ImportError if the library of the latter is not installed."""
    return cast(Encoding, import_module(f"collector.ship.formats.{name}").ENCODING)
