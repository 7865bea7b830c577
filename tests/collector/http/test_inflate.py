"""Compressed bodies: every encoding in every form that clients send, and hidden bombs."""

import gzip
import zlib
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.errors import BadEvent, Rejected, TooLarge, UnsupportedMedia
from collector.http.inflate import inflate

LIMIT = 100_000
TEXT = b'{"ea":"view","ec":"product"}' * 300


def _raw_deflate(text: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(text) + packer.flush()


def _zstd(text: bytes, window_log: int = 20) -> bytes:
    """A frame without the length of its content, as streaming clients write it."""
    parameters = zstandard.ZstdCompressionParameters(window_log=window_log, write_content_size=False)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return packer.compress(text) + packer.flush()


PACKERS: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {
    "gzip": (b"gzip", gzip.compress),
    "x-gzip": (b"x-gzip", gzip.compress),
    "zlib": (b"deflate", zlib.compress),
    "raw deflate": (b"deflate", _raw_deflate),
    "zstd": (b"zstd", zstandard.compress),
    "streamed zstd": (b"zstd", _zstd),
}
every_packer = pytest.mark.parametrize("form", PACKERS)


def _pack(form: str, text: bytes) -> tuple[bytes, bytes]:
    """The encoding's name, and the encoded text."""
    encoding, pack = PACKERS[form]
    return encoding, pack(text)


def _inflated(body: bytes, encoding: bytes, limit: int, ratio: int = 10_000) -> bytes:
    """A body, inflated whole."""
    return b"".join(inflate(body, encoding, limit, ratio))


def _inflate(form: str, *texts: bytes, cut: int | None = None, behind: bytes = b"") -> bytes:
    """Compress these texts, join them, cut them short or add `behind`, and inflate the result."""
    encoding, _ = PACKERS[form]
    body = b"".join(_pack(form, text)[1] for text in texts)
    return _inflated(body[:cut] + behind, encoding, LIMIT)


@pytest.mark.parametrize("encoding", [b"", b"identity"])
def test_an_uncompressed_body_stays_as_it_is(encoding: bytes) -> None:
    assert _inflated(b"\x1f\x8b not gzip", encoding, 1) == b"\x1f\x8b not gzip"


@every_packer
@pytest.mark.parametrize("text", [b"", b"{", TEXT, bytes(range(256)) * 300], ids=["empty", "byte", "text", "bytes"])
def test_a_compressed_body_is_inflated(form: str, text: bytes) -> None:
    assert _inflate(form, text) == text


@every_packer
def test_several_members_are_one_body(form: str) -> None:
    texts = [b"{", b"", TEXT, b"}"]
    assert _inflate(form, *texts) == b"".join(texts)


@every_packer
def test_one_member_for_every_event_of_a_large_batch_is_read(form: str) -> None:
    assert _inflate(form, *[b"{}\n"] * 1000) == b"{}\n" * 1000


@every_packer
def test_a_body_of_countless_empty_members_is_refused_before_it_takes_seconds(form: str) -> None:
    encoding, member = _pack(form, b"")
    with pytest.raises(TooLarge, match="members"):
        _inflated(member * (1 << 18), encoding, LIMIT)


def test_skippable_zstd_frames_are_skipped() -> None:
    skipped = b"\x50\x2a\x4d\x18\x04\x00\x00\x00skip"
    assert _inflated(skipped + _zstd(TEXT) + skipped, b"zstd", LIMIT) == TEXT


@every_packer
def test_a_body_cut_at_any_byte_is_refused(form: str) -> None:
    whole = len(_pack(form, b'{"ea":"view"}')[1])
    for length in range(whole):
        with pytest.raises(BadEvent):
            _inflate(form, b'{"ea":"view"}', cut=length)


@every_packer
def test_a_cut_second_member_is_refused(form: str) -> None:
    with pytest.raises(BadEvent):
        _inflate(form, TEXT, TEXT, cut=-3)


@every_packer
@pytest.mark.parametrize("behind", [b"\xff\xff\xff\xff", b"garbage", b"{}"])
def test_uncompressed_bytes_after_a_member_are_refused(form: str, behind: bytes) -> None:
    with pytest.raises(BadEvent):
        _inflate(form, TEXT, behind=behind)


@every_packer
def test_a_body_that_does_not_match_its_header_is_refused_with_the_encodings_name(form: str) -> None:
    encoding, _ = PACKERS[form]
    with pytest.raises(BadEvent, match=encoding.decode().removeprefix("x-")):
        _inflated(b'{"ea":"view"}', encoding, LIMIT)


@every_packer
@pytest.mark.parametrize("at", [0.1, 0.5, 0.9])
def test_a_damaged_member_is_refused_or_inflated_whole(form: str, at: float) -> None:
    encoding, body = _pack(form, TEXT)
    place = int(len(body) * at)
    try:
        inflated = _inflated(body[:place] + bytes([body[place] ^ 0x40]) + body[place + 1 :], encoding, LIMIT)
    except Rejected:
        return
    assert inflated == TEXT or form in ("raw deflate", "zstd", "streamed zstd"), "these carry no checksum"


@every_packer
def test_a_body_at_the_limit_is_read_and_one_byte_more_is_not(form: str) -> None:
    encoding, body = _pack(form, b"x" * LIMIT)
    assert len(_inflated(body, encoding, LIMIT)) == LIMIT
    with pytest.raises(TooLarge, match=f"more than {LIMIT - 1} bytes"):
        _inflated(body, encoding, LIMIT - 1)


@every_packer
def test_members_count_together(form: str) -> None:
    half = b"x" * (LIMIT // 2)
    assert len(_inflate(form, half, half)) == LIMIT
    with pytest.raises(TooLarge):
        _inflate(form, half, half, b"x")


@every_packer
def test_a_decompression_bomb_stops_at_the_limit(form: str) -> None:
    encoding, body = _pack(form, b"\x00" * (64 << 20))
    assert len(body) < 100_000
    with pytest.raises(TooLarge):
        _inflated(body, encoding, LIMIT)


def test_a_zstd_window_of_eight_mebibytes_is_read_and_a_larger_one_is_refused() -> None:
    assert _inflated(_zstd(TEXT, 23), b"zstd", LIMIT) == TEXT
    with pytest.raises(BadEvent, match="zstd"):
        _inflated(_zstd(TEXT, 24), b"zstd", LIMIT)


@pytest.mark.parametrize("encoding", [b"br", b"compress", b"gzip, gzip", b"identity, gzip", b"zst", b"\xff", b"*"])
def test_an_unsupported_encoding_is_refused_with_the_supported_ones(encoding: bytes) -> None:
    with pytest.raises(UnsupportedMedia, match="gzip, deflate, zstd"):
        _inflated(b"{}", encoding, LIMIT)


@settings(deadline=None)
@given(body=st.binary(max_size=200), encoding=st.sampled_from([b"gzip", b"deflate", b"zstd"]))
def test_arbitrary_bytes_are_inflated_or_refused(body: bytes, encoding: bytes) -> None:
    try:
        assert len(_inflated(body, encoding, 50)) <= 50
    except Rejected:
        return


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate"])
def test_no_piece_is_long_however_much_a_body_hides(encoding: bytes) -> None:
    hidden = bytes(5 << 20)
    body = gzip.compress(hidden) if encoding == b"gzip" else zlib.compress(hidden)
    parts = list(inflate(body, encoding, len(hidden), 10_000))
    assert b"".join(parts) == hidden
    assert max(map(len, parts)) <= 528 << 10
