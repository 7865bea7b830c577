"""A long JSON array: to its elements in slices, between which other requests may run.

The decoder takes up to 4 ns a byte to find elements, 20 ms for the longest body, and can't be interrupted. So the array
is cut at commas that probably stand between two elements: before the name of a member with which the first element
begins. A piece that is valid between brackets proves its cut right: the same bytes lead a decoder of the whole array to
the same state.
"""

import re
import time
from collections.abc import Generator
from typing import Final

import msgspec

from collector.ingest.bodies.splitting import split_array
from collector.long_work import SLICE_SECONDS

_PIECE_BYTES: Final = 256 << 10
"""Bytes to split between two looks at the clock: 1 ms of work at most."""
_BEGINNING: Final = re.compile(rb'[ \t\r\n]*\[[ \t\r\n]*(\{[ \t\r\n]*"[^"\\]{0,255}"[ \t\r\n]*:)')
_BEGINNING_BYTES: Final = 1024
"""A pattern takes 3 ns for a space, and a body may have 5 MiB of them."""
_SPACE: Final = b" \t\r\n"


def elements_of(body: bytes, limit: int) -> Generator[None, None, list[bytes] | None]:
    """The elements, or a few more than `limit` of them if there are more; yields when other requests may run.

    None if pieces do not tell: if the array is malformed, or what separates elements occurs inside of them too.
    Raises TooLarge for more than `limit` elements in one piece.
    """
    beginning = _BEGINNING.match(body, 0, _BEGINNING_BYTES)
    if beginning is None:
        return None
    opening, at = beginning[1], beginning.start(1)
    elements: list[bytes] = []
    begun = time.perf_counter()
    while at < len(body) and len(elements) <= limit:
        comma = _comma_in(body, opening, at)
        piece = body[at:comma] + b"]" if comma else body[at:]
        try:
            found = split_array(b"[" + piece, limit)
        except (msgspec.DecodeError, RecursionError):
            return None
        if not found:  # nothing stands between two commas, or after the last one
            return None
        elements += map(bytes, found)
        at = comma + 1 if comma else len(body)
        if time.perf_counter() - begun > SLICE_SECONDS:
            yield
            begun = time.perf_counter()
    return elements


def _comma_in(body: bytes, opening: bytes, at: int) -> int:
    """The last comma before `opening`, else before any object, in the next _PIECE_BYTES.

    0 if there is none, or the rest is shorter.
    """
    if len(body) - at > _PIECE_BYTES:
        for beginning in (opening, b"{"):
            end = body.rfind(beginning, at + 1, at + _PIECE_BYTES)
            before = body[at : max(end, at)].rstrip(_SPACE)
            if before.endswith(b","):
                return at + len(before) - 1
    return 0
