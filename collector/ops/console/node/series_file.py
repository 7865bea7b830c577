"""The file of the coarse series, of fixed size, so that an hour of charts survives a restart.

    names   MOST_SERIES x (CRC-32, length (2 bytes), the name, padded to 64 bytes)
    rows    length x (CRC-32, 4 bytes of padding, tick, MOST_SERIES x float64), the row of a tick at `tick % length`

A name or row with another CRC was being written when the machine stopped, and is left out. Nothing is fsynced after
the start: the page cache outlives the process, and after a power failure old rows are left out by their tick.
"""

import contextlib
import math
import os
from collections.abc import Iterator
from struct import Struct
from typing import Final
from zlib import crc32

from collector.ops.console.node.rates import Values
from collector.ops.console.node.series import MOST_SERIES, SeriesRing
from wal.files import Files, opened, read_file, write_file

_CRC: Final = Struct("<I")
_NAME: Final = Struct("<H58s")
_NAME_BYTES: Final = _CRC.size + _NAME.size
_LONGEST_NAME: Final = 58
_ROW: Final = Struct(f"<4xQ{MOST_SERIES}d")
_ROW_BYTES: Final = _CRC.size + _ROW.size
_ROWS: Final = MOST_SERIES * _NAME_BYTES


class SeriesFile:
    """Keeps a ring in a file. One process at a time, one thread at a time."""

    def __init__(self, path: str, ring: SeriesRing) -> None:
        """Fill an empty `ring` with the rows of the file, and write the file anew. Raises OSError."""
        self._length = ring.length
        self._columns: dict[str, int] = {}
        self._path = path
        files = Files()
        with contextlib.suppress(FileNotFoundError):
            for tick, values in sorted(_rows(read_file(files, path), ring.length)):
                ring.put(tick, values)
        content = bytearray(_ROWS + ring.length * _ROW_BYTES)
        for tick, values in ring.rows():
            for offset, part in self._parts(tick, values):
                content[offset : offset + len(part)] = part
        write_file(files, path, bytes(content))

    def write(self, tick: int, values: Values) -> None:
        """Write the row of a tick. Raises OSError."""
        files = Files()
        with opened(files, files.open(self._path, write=True)) as descriptor:
            for offset, part in self._parts(tick, values):
                os.pwrite(descriptor, part, offset)

    def _parts(self, tick: int, values: Values) -> Iterator[tuple[int, bytes]]:
        """The row of a tick, and before it the names that the file does not have yet, each with its offset."""
        row = [math.nan] * MOST_SERIES
        for name, value in values.items():
            encoded = name.encode()
            if value is None or len(encoded) > _LONGEST_NAME:
                continue
            if name not in self._columns:
                if len(self._columns) == MOST_SERIES:
                    continue
                self._columns[name] = len(self._columns)
                yield self._columns[name] * _NAME_BYTES, _with_crc(_NAME.pack(len(encoded), encoded))
            row[self._columns[name]] = value
        yield _ROWS + tick % self._length * _ROW_BYTES, _with_crc(_ROW.pack(tick, *row))


def _rows(content: bytes, length: int) -> Iterator[tuple[int, Values]]:
    """The rows of a file, in any order; none if it has another size."""
    if len(content) != _ROWS + length * _ROW_BYTES:
        return
    names: dict[int, str] = {}
    for column in range(MOST_SERIES):
        if checked := _checked(content[column * _NAME_BYTES : (column + 1) * _NAME_BYTES]):
            size, encoded = _NAME.unpack(checked)
            names[column] = encoded[:size].decode(errors="replace")
    for start in range(_ROWS, len(content), _ROW_BYTES):
        if checked := _checked(content[start : start + _ROW_BYTES]):
            tick, *row = _ROW.unpack(checked)
            yield tick, {name: None if math.isnan(row[column]) else row[column] for column, name in names.items()}


def _with_crc(checked: bytes) -> bytes:
    return _CRC.pack(crc32(checked)) + checked


def _checked(part: bytes) -> bytes | None:
    """The bytes after a CRC, if it is theirs and they are not all zero."""
    checked = part[_CRC.size :]
    return checked if any(checked) and _CRC.unpack_from(part) == (crc32(checked),) else None
