"""JSON bodies of the API as structs: bounded in bytes and time, and of no content type that a form can have."""

import asyncio
from typing import Final, TypeVar

import msgspec
from msgspec import Struct
from starlette.requests import ClientDisconnect, Request

from collector.errors import UNDECODABLE
from collector.ops.console.parameters import worded
from collector.ops.console.refusals import refused

S = TypeVar("S", bound=Struct)
_SECONDS: Final = 10.0


async def read_body(request: Request, kind: type[S], most_bytes: int) -> S:
    """The body of a request. Raises Rejected, with the member that is wrong."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise refused("unsupported_media", "expected a body with content-type: application/json")
    try:
        async with asyncio.timeout(_SECONDS):
            body = await _collected(request, most_bytes)
    except TimeoutError:
        raise refused("body_timeout", f"the body did not arrive within {_SECONDS:g} s") from None
    except ClientDisconnect:
        raise refused("bad_body", "the client left before the end of the body") from None
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise refused("bad_body", worded(error)) from None
    except UNDECODABLE:
        raise refused("bad_body", "the body is not JSON") from None


async def _collected(request: Request, most_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise refused("too_large", f"expected a body of at most {most_bytes} bytes")
    return bytes(body)
