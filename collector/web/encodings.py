"""The encodings of a body that never changes, pure: made once, and chosen by `Accept-Encoding`."""

import gzip
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from zstandard import ZstdCompressor

_IDENTITY: Final = b"identity"
_MOST_CODINGS: Final = 16
"""Browsers list four. A header of 64 KiB must not cost milliseconds."""
_CODING: Final = re.compile(rb"\s*([a-z0-9*-]+)\s*(?:;\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*)?")
_UNLISTED: Final = 0.0001
"""The weight of the plain body where the header does not list it: acceptable, but below all that is listed."""


class Encoded(NamedTuple):
    """A body in one encoding, which is `identity` for the body itself."""

    encoding: bytes
    body: bytes


def encodings_of(body: bytes) -> tuple[Encoded, ...]:
    """The body in each encoding, the shortest one first."""
    made = (
        Encoded(b"zstd", ZstdCompressor(level=19).compress(body)),
        Encoded(b"gzip", gzip.compress(body, mtime=0)),
        Encoded(_IDENTITY, body),
    )
    return tuple(sorted(made, key=lambda encoded: len(encoded.body)))


def chosen(encodings: Sequence[Encoded], accepted: bytes) -> Encoded:
    """The encoding that the client wants most, and of several the first. `accepted`: `Accept-Encoding`, or b"".

    A client that accepts none, not even the plain body, gets the plain body.
    """
    weights = _weights(accepted)
    best = max(encodings, key=lambda encoded: _weight(weights, encoded.encoding))
    if _weight(weights, best.encoding):
        return best
    return next(encoded for encoded in encodings if encoded.encoding == _IDENTITY)


def _weights(accepted: bytes) -> dict[bytes, float]:
    """The weight of each coding that is listed. Malformed parts count as not listed."""
    parts = accepted.lower().split(b",", _MOST_CODINGS)[:_MOST_CODINGS]
    matches = [match for match in map(_CODING.fullmatch, parts) if match]
    return {match[1]: float(match[2] or 1) for match in matches}


def _weight(weights: dict[bytes, float], encoding: bytes) -> float:
    default = _UNLISTED if encoding == _IDENTITY else 0.0
    return weights.get(encoding, weights.get(b"*", default))
