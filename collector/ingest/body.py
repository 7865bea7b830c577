"""The body of a request: of a kind that is read, whole, and within its limits."""

from typing import Final

from starlette.types import Message, Receive, Scope

from collector.errors import Overloaded, SlowBody, TooLarge, UnsupportedMedia
from collector.ingest.cycle import IS_LATE
from collector.settings import Limits

NDJSON: Final = b"application/x-ndjson"
FORM: Final = b"application/x-www-form-urlencoded"
_JSON: Final = b"application/json"
_READ: Final = frozenset((_JSON, b"text/plain", b"", NDJSON, FORM))
"""`sendBeacon` sends text/plain, and careless clients send no type at all."""
_LENGTH_DIGITS: Final = 20
"""What 64 bits need; leading zeros may make it more, and `int` raises for thousands of them."""


class ClientGone(Exception):
    """The connection ended before the body did: there is nobody to answer."""


def has_body(headers: dict[bytes, bytes]) -> bool:
    """Whether a request announces a body."""
    return headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers


def media_of(headers: dict[bytes, bytes]) -> bytes:
    """The content type without its parameters; of `application/*+json` that of JSON.

    Raises UnsupportedMedia for one that is not read.
    """
    kind = headers.get(b"content-type", b"")
    if kind in _READ:
        return kind
    kind = kind.partition(b";")[0].strip().lower()
    if kind in _READ:
        return kind
    if kind.startswith(b"application/") and kind.endswith(b"+json"):
        return _JSON
    raise UnsupportedMedia(
        "expected content-type application/json, text/plain, application/x-ndjson or application/x-www-form-urlencoded"
    )


def is_json(form: bytes) -> bool:
    """Whether a form is JSON after all: clients that set no content type send it under that of their library."""
    return form[:1] in (b"{", b"[")


class BodyReader:
    """Reads bodies, and knows how much of unfinished ones is in memory."""

    def __init__(self, limits: Limits) -> None:
        self._limit = limits.body_bytes
        self._most_in_flight = limits.in_flight_bytes
        self._in_flight = 0

    async def read(self, scope: Scope, receive: Receive, headers: dict[bytes, bytes]) -> bytes:
        """The whole body, as it came. Raises TooLarge, SlowBody, Overloaded, ClientGone."""
        announced = headers.get(b"content-length")
        if announced is not None and (len(announced) > _LENGTH_DIGITS or int(announced) > self._limit):
            raise TooLarge(f"the body is over the limit of {self._limit} bytes")
        message = await receive()
        if message["type"] == "http.request" and not message["more_body"]:
            body: bytes = message["body"]
            if len(body) > self._limit:
                raise TooLarge(f"the body is over the limit of {self._limit} bytes")
            return body
        return await self._joined(scope, receive, message)

    async def _joined(self, scope: Scope, receive: Receive, message: Message) -> bytes:
        parts: list[bytes] = []
        length = 0
        try:
            while True:
                if message["type"] == "http.disconnect":
                    raise ClientGone
                part: bytes = message["body"]
                parts.append(part)
                length += len(part)
                self._in_flight += len(part)
                if length > self._limit:
                    raise TooLarge(f"the body is over the limit of {self._limit} bytes")
                if not message["more_body"]:
                    return b"".join(parts)
                if IS_LATE in scope:
                    raise SlowBody("the body did not arrive in time")
                if self._in_flight > self._most_in_flight:
                    raise Overloaded("too many bodies are arriving at once")
                message = await receive()
        finally:
            self._in_flight -= length
