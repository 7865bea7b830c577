"""Compressed bodies, pure: inflated up to a limit, whatever they claim or hide."""

import zlib
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import zstandard

from collector.errors import BadEvent, TooLarge, UnsupportedMedia

_GZIP: Final = 16 + zlib.MAX_WBITS
_ZLIB_SLICE: Final = 4096
"""Bytes that are fed at a time: no more than 4 MiB can come out of them, 1032 for each."""
_ZSTD_WINDOW: Final = 8 << 20
"""What RFC 8878 tells every decoder to support, and none to exceed."""
_ZSTD_SLICE: Final = 512
"""Bytes that are fed at a time: no more than 16 MiB can come out of them, 128 KiB for each block of 4 bytes."""
_FREE_BYTES: Final = 64 << 10
"""So much a body may inflate to, however small it is."""
_MOST_MEMBERS: Final = 1000
"""Members of one body, which may be empty and cost time all the same: 10 us for each."""


class _Inflater(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def inflate(body: bytes, encoding: bytes, limit: int, ratio: int) -> Iterator[bytes]:
    """The body without its content encoding, piece by piece, so that the caller can let others have their turn.

    Raises UnsupportedMedia, TooLarge over `limit` bytes or, above 64 KiB, over `ratio` bytes for each byte of the body,
    and BadEvent where the body is not what its header says.
    """
    if encoding in (b"", b"identity"):
        return iter((body,))
    most = min(limit, max(ratio * len(body), _FREE_BYTES))
    if encoding in (b"gzip", b"x-gzip"):
        return _inflated(body, lambda: zlib.decompressobj(_GZIP), _ZLIB_SLICE, most, "gzip")
    if encoding == b"deflate":  # the header means zlib's format, and some clients send the bare one
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
    """The contents of all members, one after the other."""
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
