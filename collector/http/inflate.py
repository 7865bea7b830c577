"""Compressed bodies, pure: inflate up to a limit, whatever size they claim or hide."""

import zlib
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import zstandard

from collector.errors import BadEvent, TooLarge, UnsupportedMedia

_GZIP: Final = 16 + zlib.MAX_WBITS
_ZLIB_SLICE: Final = 512
"""Bytes to inflate at a time: they yield 528 KiB at most, 1032 times their length."""
_ZSTD_WINDOW: Final = 8 << 20
"""RFC 8878 recommends that decoders support this window, and encoders do not exceed it."""
_ZSTD_SLICE: Final = 512
"""Bytes to inflate at a time: they yield 16 MiB at most, 128 KiB for each block of 4 bytes."""
_FREE_BYTES: Final = 64 << 10
"""Any body may inflate to this size, however small it is."""
_MOST_MEMBERS: Final = 1000
"""Members of one body. An empty member costs time too, 10 us."""


class _Inflater(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def inflate(body: bytes, encoding: bytes, limit: int, ratio: int) -> Iterator[bytes]:
    """Undo the content encoding piece by piece, so that the caller can let other requests run in between.

    Raises UnsupportedMedia, TooLarge over `limit` bytes or, above 64 KiB, over `ratio` times the body's length, and
    BadEvent if the body does not match its header.
    """
    if encoding in (b"", b"identity"):
        return iter((body,))
    most = min(limit, max(ratio * len(body), _FREE_BYTES))
    if encoding in (b"gzip", b"x-gzip"):
        return _inflated(body, lambda: zlib.decompressobj(_GZIP), _ZLIB_SLICE, most, "gzip")
    if encoding == b"deflate":  # the header means zlib's format, but some clients send raw deflate
        is_zlib = len(body) > 1 and body[0] & 15 == zlib.DEFLATED and int.from_bytes(body[:2], "big") % 31 == 0
        window = zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS
        return _inflated(body, lambda: zlib.decompressobj(window), _ZLIB_SLICE, most, "deflate")
    if encoding == b"zstd":
        decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        return _inflated(body, decompressor.decompressobj, _ZSTD_SLICE, most, "zstd")
    raise UnsupportedMedia("expected content-encoding gzip, deflate, zstd or none")


def _inflated(
    body: bytes, new_inflater: Callable[[], _Inflater], slice_bytes: int, limit: int, name: str
) -> Iterator[bytes]:
    """Yield the contents of all members in order."""
    inflater = new_inflater()
    members = 1
    length = 0
    try:
        for at in range(0, len(body), slice_bytes):
            piece = body[at : at + slice_bytes]
            while piece:
                if inflater.eof:
                    inflater = new_inflater()
                    members += 1
                    if members > _MOST_MEMBERS:
                        raise TooLarge(f"the body has more than {_MOST_MEMBERS} {name} members")
                part = inflater.decompress(piece)
                length += len(part)
                if length > limit:
                    raise TooLarge(
                        f"the {name} body of {len(body)} bytes inflates to more than {limit} bytes, the limit for its "
                        "size; send smaller batches, or send it uncompressed"
                    )
                yield part
                piece = inflater.unused_data
    except (zlib.error, zstandard.ZstdError) as error:
        raise BadEvent(f"the body is not {name}: {error}") from None
    if not inflater.eof:
        raise BadEvent(f"the body is not {name}: its end is missing")
