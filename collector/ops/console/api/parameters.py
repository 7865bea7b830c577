"""Queries of the API as frozen structs: every parameter has bounds, and an unknown one is refused.

class Page(Struct, frozen=True):
    kind: Literal["stored", "rejected"] | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100

page = read_parameters(request.scope["query_string"], Page)
"""

import re
from functools import cache
from typing import Final, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct, inspect

from collector.errors import Rejected
from collector.ops.console.api.refusals import refused

LATEST_MS: Final = 10**13 - 1
"""The latest time of a request, in Unix ms: in the year 2286."""
S = TypeVar("S", bound=Struct)
_LONGEST_QUERY: Final = 16 << 10
_LONGEST_TEXT: Final = 200
"""Characters of a parameter. A struct may allow more with `Meta(max_length=…)`."""
_MOST_PARAMETERS: Final = 32
_PLACE: Final = re.compile(r" - at `\$\.([^`]*)`$")


def read_parameters(query: bytes, kind: type[S]) -> S:
    """Read a query. An empty parameter counts as absent. Raises Rejected, which names the parameter."""
    longest = _longest_by_name(kind)
    values = _values_in(query)
    for name, value in values.items():
        if name not in longest:
            raise _bad(f"no parameter {name[:_LONGEST_TEXT]!r}; expected {', '.join(longest) or 'none'}")
        if len(value) > longest[name]:
            raise _bad(f"{name}: expected at most {longest[name]} characters")
    try:
        return msgspec.convert({name: value for name, value in values.items() if value}, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _bad(worded(error)) from None


def worded(error: msgspec.ValidationError) -> str:
    """The message of an error with the member that is wrong in front."""
    message = str(error).replace("Expected", "expected", 1)
    place = _PLACE.search(message)
    return f"{place[1]}: {message[: place.start()]}" if place else message


def _values_in(query: bytes) -> dict[str, str]:
    if len(query) > _LONGEST_QUERY:
        raise _bad(f"expected a query of at most {_LONGEST_QUERY} bytes")
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(query),
            errors="strict",
            max_num_fields=_MOST_PARAMETERS,
        )
    except ValueError:  # also UnicodeDecodeError
        raise _bad(f"expected at most {_MOST_PARAMETERS} parameters as name=value, in UTF-8") from None
    values = dict(pairs)
    if len(values) < len(pairs):
        raise _bad("a parameter stands twice")
    return values


@cache
def _longest_by_name(kind: type[Struct]) -> dict[str, int]:
    """The names of the parameters, and how long each may be.

    Raises TypeError for a number without bounds: an endpoint must not have one.
    """
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)  # noqa: S101
    longest: dict[str, int] = {}
    for field in info.fields:
        longest[field.encode_name] = _LONGEST_TEXT
        members = field.type.types if isinstance(field.type, inspect.UnionType) else (field.type,)
        for member in members:
            if isinstance(member, inspect.IntType | inspect.FloatType) and None in (member.ge, member.le):
                raise TypeError(f"{kind.__name__}.{field.name} needs bounds: Meta(ge=…, le=…)")
            if isinstance(member, inspect.StrType) and member.max_length is not None:
                longest[field.encode_name] = max(member.max_length, _LONGEST_TEXT)
    return longest


def _bad(message: str) -> Rejected:
    return refused("bad_parameter", message)
