"""JSON bodies of the API as structs: bounded in bytes, and of no content type that a form can have."""

from typing import TypeVar

import msgspec
from msgspec import Struct
from starlette.requests import Request

from collector.errors import UNDECODABLE
from collector.ops.console.api.parameters import worded
from collector.ops.console.api.refusals import refused

S = TypeVar("S", bound=Struct)


async def read_body(request: Request, kind: type[S], most_bytes: int) -> S:
    """The body of a request. Raises Rejected, with the member that is wrong."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise refused("unsupported_media", "expected a body with content-type: application/json")
    body = await request.body()
    if len(body) > most_bytes:
        raise refused("too_large", f"expected a body of at most {most_bytes} bytes")
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise refused("bad_body", worded(error)) from None
    except UNDECODABLE:
        raise refused("bad_body", "the body is not JSON") from None
