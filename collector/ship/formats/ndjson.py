"""Events as NDJSON, compressed with zstd: the lines of the log, byte for byte."""

from collections.abc import Sequence
from typing import Final

import msgspec
import zstandard

from collector.errors import UNDECODABLE
from collector.ship.batch import Part
from collector.ship.formats.encoding import Encoding, FileEvents, events_of

_ZSTD: Final = zstandard.ZstdCompressionParameters.from_level(1, window_log=17)
"""Records become no larger than at level 3, in 0.6 of its time. A window that fits into caches, not the level's own,
saves another fifth, for 2 % in size."""
_MOST_BYTES: Final = 256 << 20
"""The most bytes that a file may have inflated: a batch has at most 64 MiB and one block."""


class _Record(msgspec.Struct, gc=False):
    id: str


_decode_all: Final = msgspec.json.Decoder(_Record).decode_lines


def _compressed(_: str, parts: Sequence[Part]) -> bytes:
    """Block by block: to join 16 MiB first would keep other threads waiting for 10 ms."""
    size = sum([len(part.payload) for part in parts])
    compressor = zstandard.ZstdCompressor(compression_params=_ZSTD).compressobj(size)
    return b"".join([*[compressor.compress(part.payload) for part in parts], compressor.flush()])


def _is_same(one: bytes, other: bytes) -> bool:
    """Whether both hold the same lines; another version of zstd may have compressed them to other bytes."""
    try:
        return zstandard.decompress(one) == zstandard.decompress(other)
    except zstandard.ZstdError:
        return False


def _events(log_id: str, content: bytes) -> FileEvents:
    try:
        if zstandard.frame_content_size(content) > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES} bytes inflated")
        lines = zstandard.decompress(content)
    except zstandard.ZstdError as error:
        raise ValueError(f"it is not whole: {error}") from None
    try:
        records = _decode_all(lines)
    except UNDECODABLE as error:
        raise ValueError(f"a line is no event: {error}") from None
    return events_of(log_id, (record.id for record in records))


ENCODING: Final = Encoding(".ndjson.zst", "application/zstd", _compressed, _is_same, _events)
