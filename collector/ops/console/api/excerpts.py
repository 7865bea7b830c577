"""The first part of something long, and the rest of it on demand."""

from typing import Annotated, Final, NamedTuple

from msgspec import Meta, Struct, field
from starlette.requests import Request
from starlette.responses import Response

from collector.ops.console.api.parameters import read_parameters

EXCERPT_BYTES: Final = 20 << 10
_MOST_BYTES: Final = 16 << 20
"""More than a line of the log has, and than the body of a request."""


class Excerpt(NamedTuple):
    """Text, and the number of bytes in it if there are more."""

    text: str
    truncated_at: int | None


class PartQuery(Struct, frozen=True):
    """The query of an endpoint that gives a part of some bytes."""

    start: Annotated[int, Meta(ge=0, le=_MOST_BYTES)] = field(default=0, name="from")
    limit: Annotated[int, Meta(ge=1, le=_MOST_BYTES)] = _MOST_BYTES


def excerpt_of(data: bytes) -> Excerpt:
    """The first 20 KiB of some text, cut between two characters. Bytes that are not UTF-8 are replaced."""
    if len(data) <= EXCERPT_BYTES:
        return Excerpt(data.decode(errors="replace"), None)
    end = EXCERPT_BYTES
    while end > EXCERPT_BYTES - 4 and data[end] & 0xC0 == 0x80:  # noqa: PLR2004  a byte within a character of UTF-8
        end -= 1
    return Excerpt(data[:end].decode(errors="replace"), end)


def read_part(request: Request) -> PartQuery:
    """The part that a request asks for. Raises Rejected."""
    return read_parameters(request.scope["query_string"], PartQuery)


def part_response(part: PartQuery, data: bytes, name: str) -> Response:
    """A part of some bytes as a download: no browser shows or runs it."""
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(data[part.start : part.start + part.limit], 200, headers, "application/octet-stream")
