"""A format of files, and the formats by name."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Final, NamedTuple, cast

import msgspec

from collector.ship.batch import Part

UNFIT: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
"""The errors of decoding a record."""


class Encoding(NamedTuple):
    """A format: `encode` turns parts of the log with this id into bytes; `is_same` compares the events of two files."""

    suffix: str
    content_type: str
    encode: Callable[[str, Sequence[Part]], bytes]
    is_same: Callable[[bytes, bytes], bool]


def encoding(name: str) -> Encoding:
    """The format `ndjson` or `parquet`. Raises ImportError if the library of the latter is not installed."""
    return cast(Encoding, import_module(f"collector.ship.formats.{name}").ENCODING)
