"""The encodings of a body: made once, and chosen by the weights of Accept-Encoding."""

import gzip

import pytest
import zstandard

from collector.web.encodings import chosen, encodings_of

BODY = b"function track(event){queue.push(event)}" * 50
ENCODINGS = encodings_of(BODY)


def _chosen(accepted: str) -> str:
    return chosen(ENCODINGS, accepted.encode()).encoding.decode()


def test_each_encoding_holds_the_body() -> None:
    bodies = {each.encoding: each.body for each in ENCODINGS}
    assert bodies[b"identity"] == gzip.decompress(bodies[b"gzip"]) == BODY
    assert zstandard.ZstdDecompressor().decompress(bodies[b"zstd"]) == BODY


def test_two_processes_make_the_same_bytes() -> None:
    assert encodings_of(BODY) == ENCODINGS


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("", "identity"),
        ("gzip", "gzip"),
        ("zstd", "zstd"),
        ("GZIP", "gzip"),
        (" gzip ; q=1.0 ", "gzip"),
        ("br", "identity"),
        ("br, gzip", "gzip"),
        ("gzip;q=0", "identity"),
        ("gzip;q=0.000", "identity"),
        ("zstd;q=0, gzip;q=0.1", "gzip"),
        ("gzip;q=0.2, zstd;q=0.8", "zstd"),
        ("gzip;q=0.5, identity", "identity"),
        ("identity;q=0, gzip;q=0.1", "gzip"),
        ("identity;q=0", "identity"),
        ("*;q=0", "identity"),
        ("gzip, *;q=0", "gzip"),
        ("gzip;q=2", "identity"),
        ("gzip;q=", "identity"),
        ("gzip;q=0.0001", "identity"),
        ("gzip;level=9", "identity"),
        (",,gzip,", "gzip"),
        ("x," * 30_000 + "gzip", "identity"),
    ],
)
def test_the_encoding_is_the_one_that_the_client_wants_most(accepted: str, encoding: str) -> None:
    assert _chosen(accepted) == encoding


@pytest.mark.parametrize("accepted", ["gzip, zstd", "zstd, gzip", "gzip, deflate, br, zstd", "*"])
def test_of_encodings_that_are_wanted_alike_the_shortest_is_sent(accepted: str) -> None:
    assert chosen(ENCODINGS, accepted.encode()).body == min((each.body for each in ENCODINGS), key=len)
