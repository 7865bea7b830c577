"""Compressed bodies, pure: inflated up to a limit, whatever they claim or hide."""

import zlib
from typing import Final

import zstandard

from collector.errors import BadEvent, TooLarge, UnsupportedMedia

_GZIP: Final = 16 + zlib.MAX_WBITS
_ZSTD_WINDOW: Final = 8 << 20
"""What RFC 8878 tells every decoder to support, and none to exceed."""
_ZSTD_SLICE: Final = 512
"""Bytes that are fed at a time: no more than 16 MiB can come out of them, 128 KiB for each block of 4 bytes."""
_MOST_STREAMS: Final = 100
"""Streams that may follow one another in a body: with empty ones of 2 bytes each, 5 MiB would take minutes."""


def inflate(body: bytes, encoding: bytes, limit: int) -> bytes:
    """The body without its content encoding.

    Raises UnsupportedMedia, TooLarge over `limit` bytes, BadEvent where the body is not what its header says.
    """
    if encoding in (b"", b"identity"):
        return body
    if encoding in (b"gzip", b"x-gzip"):
        return _zlib(body, _GZIP, limit, "gzip")
    if encoding == b"deflate":  # the header means zlib's format, and some clients send the bare one
        is_zlib = len(body) > 1 and body[0] & 15 == zlib.DEFLATED and int.from_bytes(body[:2], "big") % 31 == 0
        return _zlib(body, zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS, limit, "deflate")
    if encoding == b"zstd":
        return _zstd(body, limit)
    raise UnsupportedMedia("expected content-encoding gzip, deflate, zstd or none")


def _zlib(body: bytes, window: int, limit: int, name: str) -> bytes:
    parts: list[bytes] = []
    length = streams = 0
    while body:
        streams = _one_more(streams)
        inflater = zlib.decompressobj(window)
        try:
            part = inflater.decompress(body, limit - length + 1)
        except zlib.error as error:
            raise BadEvent(f"the body is not {name}: {error}") from None
        length += len(part)
        if length > limit:
            raise TooLarge(f"the inflated body is over the limit of {limit} bytes")
        if not inflater.eof:
            raise BadEvent(f"the body is not {name}: its end is missing")
        parts.append(part)
        body = inflater.unused_data
    return b"".join(parts)


def _zstd(body: bytes, limit: int) -> bytes:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    inflater = decompressor.decompressobj()
    parts: list[bytes] = []
    length = streams = 0
    rest = memoryview(body)
    try:
        while rest:
            piece, rest = rest[:_ZSTD_SLICE], rest[_ZSTD_SLICE:]
            while piece:
                part = inflater.decompress(piece)
                length += len(part)
                if length > limit:
                    raise TooLarge(f"the inflated body is over the limit of {limit} bytes")
                parts.append(part)
                piece = memoryview(inflater.unused_data)
                if inflater.eof and (piece or rest):
                    streams = _one_more(streams)
                    inflater = decompressor.decompressobj()
    except zstandard.ZstdError as error:
        raise BadEvent(f"the body is not zstd: {error}") from None
    if not inflater.eof:
        raise BadEvent("the body is not zstd: its end is missing")
    return b"".join(parts)


def _one_more(streams: int) -> int:
    if streams == _MOST_STREAMS:
        raise TooLarge(f"the compressed body is of more than {_MOST_STREAMS} parts")
    return streams + 1
