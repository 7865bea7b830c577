"""Compressed requests that cost a server more than they cost their sender, of each compression that it accepts."""

import gzip
import random
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Final

import zstandard

from bench.load.bodies import BAD_SIX, BODY_BYTES, EVENT_BYTES, EVENTS, JSON, NDJSON, SEED, SIX, Body, array
from bench.load.event import TARGET
from bench.load.texts import repeated
from bench.load.traffic import post

Compress = Callable[[bytes], bytes]

FORM: Final = "application/x-www-form-urlencoded"
FORM_BYTES: Final = 3 * EVENT_BYTES
_RATIO: Final = 100
_GZIP: Final = {"content-encoding": "gzip"}
_EMPTY_BLOCKS: Final = bytes.fromhex(
    "ec600268d86cdbb66ddbb66ddbb66ddbb66ddbb86ddbb6d923763001346cb66ddbb66ddbb66ddbb66ddbb66ddcb66ddbec11"
    "3b98001a36dbb66ddbb66ddbb66ddbb66ddb366edbb66df6881d4c000d9b6ddbb66ddbb66ddbb66ddbb66d1bb76ddb367bc4"
    "0e268086cdb66ddbb66ddbb66ddbb66ddbb68ddbb66d9b3d62071340c366dbb66ddbb66ddbb66ddbb66ddbc66ddbb6cd1eb1"
    "8309a061b36ddbb66ddbb66ddbb66ddbb66de3b66ddb668fd8c104d0b0d9b66ddbb66ddbb66ddbb66ddbb671dbb66db347"
)
"""Raw deflate: eight blocks, each a Huffman table of 199 bits and nothing else. Costs 90 ns a byte, and yields none."""
_COMPRESSIONS: Final[dict[str, Compress]] = {
    "gzip": partial(gzip.compress, compresslevel=9, mtime=0),
    "deflate": partial(zlib.compress, level=9),
    "zstd": zstandard.compress,
}


def compressed() -> Iterator[Body]:
    """Each was worse than its bytes once, or reaches for a limit."""
    deep = b"{%b,%b}" % (SIX, b'"v":' + repeated(b"[", b",", b"[" * 60 + b"]" * 60, b"]", EVENT_BYTES - 200))
    yield _encoded("zstd of 80 events, brackets 60 deep", "zstd", b"[" + b",".join([deep] * 80) + b"]", 80)
    yield _encoded("zstd of 994 elements, [1,1,…]", "zstd", repeated(b"[", b",", b"1", b"]", 2 * 994), 994)
    yield _encoded("zstd of a form of 0xff", "zstd", b"\xff" * FORM_BYTES, 1, FORM)
    yield _encoded("zstd of 1,000 refused events", "zstd", array([b"{%b}" % BAD_SIX] * EVENTS), EVENTS)
    yield _encoded("gzip of 5 MiB of nothing", "gzip", b" " * BODY_BYTES, 0)
    for encoding in _COMPRESSIONS:
        for name, inflated in (("a batch of 5 MiB", _at_ratio), ("5 MiB of blank lines", _lines_at_ratio)):
            body = inflated(_COMPRESSIONS[encoding])
            kind = NDJSON if "lines" in name else JSON
            yield _encoded(f"{encoding} of {name}, ratio under 100", encoding, body, EVENTS, kind)
    members = gzip.compress(b"", mtime=0) * 999 + gzip.compress(b"{%b}" % SIX, mtime=0)
    yield Body("gzip of 1,000 members", post(members, headers={"content-encoding": "gzip"}), 200)
    yield Body("zstd of frames without content", _frames(250_000), 5000 << 10, 0)
    yield Body("gzip of junk", post(random.Random(SEED).randbytes(BODY_BYTES), headers=_GZIP), BODY_BYTES)
    blocks = _EMPTY_BLOCKS * (BODY_BYTES // len(_EMPTY_BLOCKS))
    yield Body("deflate of empty blocks", post(blocks, headers={"content-encoding": "deflate"}), BODY_BYTES)
    digits = random.Random(SEED).randbytes(BODY_BYTES - 4096).hex().encode()
    yield Body("gzip that ends too soon", post(gzip.compress(digits, mtime=0)[:BODY_BYTES], headers=_GZIP), BODY_BYTES)


def _frames(number: int) -> bytes:
    empty = zstandard.compress(b"")
    return post((empty * number)[: BODY_BYTES // len(empty) * len(empty)], headers={"content-encoding": "zstd"})


def _encoded(name: str, encoding: str, inflated: bytes, events: int, kind: str = JSON, target: str = TARGET) -> Body:
    sent = _COMPRESSIONS[encoding](inflated)
    return Body(name, post(sent, kind, target, {"content-encoding": encoding}), len(inflated), events)


def _at_ratio(compress: Compress) -> bytes:
    """A batch of nearly 5 MiB of the shape that costs most, with so much noise that it may be inflated."""
    room = BODY_BYTES // EVENTS - 150
    brackets = repeated(b"[", b",", b"[" * 60 + b"]" * 60, b"]", room - 400)
    return _with_noise(
        compress, lambda noise: array([b'{%b,"v":%b,"n":"%b"}' % (SIX, brackets, each) for each in noise])
    )


def _lines_at_ratio(compress: Compress) -> bytes:
    return _with_noise(compress, lambda noise: b"\n".join(noise) + b"\n" * (BODY_BYTES - 500_000))


def _with_noise(compress: Compress, make: Callable[[list[bytes]], bytes]) -> bytes:
    """The least noise in each of 1,000 places with which a body is under the ratio."""
    for digits in count(8, 4):
        draw = random.Random(SEED)
        body = make([b"%0*x" % (digits, draw.getrandbits(4 * digits)) for _ in range(EVENTS)])
        if len(body) < _RATIO * len(compress(body)):
            return body
    raise AssertionError
