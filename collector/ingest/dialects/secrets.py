"""Refused events without the write keys in them: SDKs send keys inside of bodies, and dead letters have none."""

import os
import re
import time
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from typing import Final
from urllib.parse import quote

from collector.dead_letters.writer import Refused
from collector.long_work import SLICE_SECONDS
from collector.settings.environment import SHORTEST_KEY
from collector.settings.tables import LARGEST_EVENT

_JSON: Final = (b"{", b"[")
_KEYS: Final = {
    name: re.compile(name + rb'\s{0,9}:\s{0,9}"[^":]{0,99}:[^"]{0,999}"')
    for name in (b'"writeKey"', b'"api_key"', b'"token"', b'"aid"')
}
"""Members that have `ID:SECRET` in some dialect, with a secret that may be another one than that of the request."""

_PIECE_BYTES: Final = 64 << 10
_BETWEEN: Final = b"\xff%b\xff" % os.urandom(16)
"""Between two events that are searched together. No client knows it, and no secret has a 0xff."""
_REST: Final = b"\xff" * 30_000
"""After the text that is searched. In shorter ones CPython's search for a secret may take the product of both lengths:
seconds for a body of 60 KB with events and secrets of one letter."""


def without_secrets(refused: Sequence[Refused], secrets: Iterable[str]) -> Generator[None, None, list[Refused]]:
    """The refused events without these secrets; yields when other requests may run.

    Shorter ones than a write key are none of ours.
    """
    forms = {form for secret in secrets if len(secret) >= SHORTEST_KEY for form in _forms_of(secret)}
    found, begun = list[Refused](), time.perf_counter()
    for piece in _pieces(refused):
        raws = [event.raw for event in piece]
        if forms:
            raws = yield from _without(raws, forms)
        found += [event._replace(raw=_without_members(raw)) for event, raw in zip(piece, raws, strict=True)]
        if time.perf_counter() - begun > SLICE_SECONDS:
            yield
            begun = time.perf_counter()
    return found


def is_readable(body: bytes) -> bool:
    """Whether a write key in a refused body can be found: in base64 or compressed it can't."""
    return body.lstrip()[:1] in _JSON


def _pieces(refused: Sequence[Refused]) -> Iterator[list[Refused]]:
    """Events that are searched together."""
    piece: list[Refused] = []
    length = 0
    for event in refused:
        piece.append(event)
        length += len(event.raw)
        if length >= _PIECE_BYTES:
            yield piece
            piece, length = [], 0
    if piece:
        yield piece


def _without(raws: Collection[bytes], secrets: Iterable[bytes]) -> Generator[None, None, list[bytes]]:
    """The texts without these secrets."""
    joined, begun = _BETWEEN.join([*raws, _REST]), time.perf_counter()
    for secret in secrets:
        joined = joined.replace(secret, b"")
        if time.perf_counter() - begun > SLICE_SECONDS:
            yield
            begun = time.perf_counter()
    return joined.split(_BETWEEN)[:-1]


def _without_members(raw: bytes) -> bytes:
    """A text without members that have a secret in some dialect."""
    if len(raw) <= LARGEST_EVENT:
        for name, pattern in _KEYS.items():
            if name in raw:
                raw = pattern.sub(name + b':""', raw)
    return raw


def _forms_of(secret: str) -> set[bytes]:
    """A secret as it may stand in JSON, where some clients escape the slash, and in a query."""
    return {secret.encode(), secret.replace("/", "\\/").encode(), quote(secret, safe="").encode()}
