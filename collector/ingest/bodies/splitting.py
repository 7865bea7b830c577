"""A body to the events in it, pure: a JSON array or lines of NDJSON, split and not decoded yet."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, cast

import msgspec
from msgspec import UNSET, Struct, UnsetType

from collector.errors import BadEvent, TooLarge
from collector.ingest.event import check_utf8, has_line_break, malformed

_decode_array: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_SHORT_BYTES: Final = 64 << 10
"""A body of up to this size has at most 32,768 elements, which take 1 ms and 2 MiB to split."""
_BLANK_LINES: Final = 1000
"""Blank lines that NDJSON may have in addition to one for each event."""
_SPACE: Final = b" \t\r\n"
_CR: Final = ord("\r")


class Events(NamedTuple):
    """The events of a body, not decoded yet."""

    events: list[bytes]
    are_lines: bool
    """Whether all are UTF-8 without a line break. One check of the whole body is cheaper than one for each event."""
    members: Sequence[bytes] | None = None
    """The members of each record about its request, where the events of a request differ in them."""


def batch_in(body: bytes, limit: int, *, is_ndjson: bool, elements: list[bytes] | None = None) -> Events | None:
    """The events of a JSON array or of NDJSON; None if the body is a single event.

    `elements` are those of the array, if they are known already. Raises BadEvent, and TooLarge for more than `limit`
    events.
    """
    if is_ndjson:
        parts: Sequence[bytes | msgspec.Raw] = _lines(body, limit)
        are_lines = _is_utf8(body) and _CR not in body
    elif body.lstrip(_SPACE)[:1] == b"[":
        try:
            check_utf8(body)
            parts = split_array(body, limit) if elements is None else elements
            are_lines = not has_line_break(body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise malformed(error) from None
    else:
        return None
    if len(parts) > limit:
        raise _too_many(limit)
    if not parts:
        raise BadEvent("the batch carries no event")
    return Events(list(map(bytes, parts)), are_lines)


def _lines(body: bytes, limit: int) -> list[bytes]:
    """The lines that are not blank. A body may have millions: reading stops at the limits."""
    most = 2 * limit + _BLANK_LINES
    lines = body.split(b"\n", most)
    found = [stripped for line in lines[:most] if (stripped := line.lstrip(_SPACE))]
    if len(lines) > most and len(found) <= limit:
        raise TooLarge(f"the body has more than {most} lines, most of them blank")
    return found


def split_array(body: bytes, limit: int) -> Sequence[msgspec.Raw]:
    """The elements of a JSON array. A long body may have millions: reading stops after `limit`.

    Raises TooLarge, msgspec.DecodeError, RecursionError.
    """
    if len(body) <= _SHORT_BYTES:
        return _decode_array(body)
    try:
        found = _bounded_array(limit)(body)
    except msgspec.ValidationError:
        raise _too_many(limit) from None
    return [element for element in msgspec.structs.astuple(found) if element is not UNSET]


@lru_cache
def _bounded_array(limit: int) -> Callable[[bytes], Struct]:
    """A decoder of arrays that raises ValidationError at the first element over `limit`."""
    fields = [(f"element_{at}", msgspec.Raw | UnsetType, UNSET) for at in range(limit)]
    bounded = msgspec.defstruct("Elements", fields, array_like=True, forbid_unknown_fields=True)
    return cast(Callable[[bytes], Struct], msgspec.json.Decoder(bounded).decode)


def _too_many(limit: int) -> TooLarge:
    return TooLarge(f"the batch is over the limit of {limit} events")


def _is_utf8(body: bytes) -> bool:
    try:
        check_utf8(body)
    except BadEvent:
        return False
    return True
