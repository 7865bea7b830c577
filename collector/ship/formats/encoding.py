"""A format of files, and the formats by name."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Final, NamedTuple, cast

import msgspec

from collector.ship.batch import Part

UNFIT: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
"""What decoding a record may raise."""


class Encoding(NamedTuple):
    """A format of files: `encode` makes parts of the log with this id into bytes, of which `is_same` compares two."""

    suffix: str
    content_type: str
    encode: Callable[[str, Sequence[Part]], bytes]
    is_same: Callable[[bytes, bytes], bool]


def encoding(name: str) -> Encoding:
    """`ndjson` or `parquet`. Raises ImportError where the library of the latter is not installed."""
    return cast(Encoding, import_module(f"collector.ship.formats.{name}").ENCODING)
