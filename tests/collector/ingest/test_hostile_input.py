"""Input that is cheap to send and expensive to read is refused before it takes time or memory."""

import gzip
import zlib
from collections.abc import Callable
from ipaddress import ip_network

import pytest
import zstandard

from collector.errors import TooLarge
from collector.http.inflate import inflate
from collector.ingest.options import OptionsReader
from collector.ingest.policy.client_address import client_of
from collector.ingest.policy.properties import Registry
from collector.ingest.policy.redirect import Signer
from collector.settings import PropertySettings

_LIMIT = 5 << 20
_ZLIB = zlib.compress(b"")
_DEFLATE = b"\x03\x00"


@pytest.mark.parametrize(
    ("encoding", "empty"),
    [
        (b"gzip", gzip.compress(b"", mtime=0)),
        (b"deflate", _ZLIB),
        (b"deflate", _DEFLATE),
        (b"zstd", zstandard.compress(b"")),
    ],
)
def test_a_body_of_very_many_empty_streams_is_refused(encoding: bytes, empty: bytes) -> None:
    with pytest.raises(TooLarge):
        b"".join(inflate(empty * (_LIMIT // len(empty)), encoding, _LIMIT, 100))


@pytest.mark.parametrize(("encoding", "compress"), [(b"gzip", gzip.compress), (b"zstd", zstandard.compress)])
def test_a_body_of_some_streams_is_read_whole(encoding: bytes, compress: Callable[[bytes], bytes]) -> None:
    assert b"".join(inflate(compress(b"ab") * 99, encoding, _LIMIT, 100)) == b"ab" * 99


@pytest.mark.parametrize("hop", [":" * 30_000 + "x", "1:" * 15_000 + "x", "[" * 30_000, '"' + "1." * 15_000])
@pytest.mark.parametrize("header", [(b"forwarded", b"for="), (b"x-forwarded-for", b"")])
def test_a_hop_far_longer_than_an_address_is_not_parsed(hop: str, header: tuple[bytes, bytes]) -> None:
    trusted = (ip_network("10.0.0.0/8"),)
    headers = [(header[0], header[1] + hop.encode())]
    assert client_of("10.0.0.1", "http", headers, trusted).ip == "10.0.0.1"


def test_a_stored_refusal_refers_to_no_request() -> None:
    targets = OptionsReader(Registry([PropertySettings(1, 1)]), Signer(b"s" * 64), lambda: 0)
    faults = [targets.find(b"portal_id=1&prop_id=1&resp_type=x")[0].fault for _ in range(2)]
    assert faults[0] is not faults[1]
