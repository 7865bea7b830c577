"""The protocol of dialects: the pure part of serving an SDK that exists. `endpoint.py` beside it does all the rest.

A dialect turns a request into events of ours, and a result into the response that its SDK takes as success. It knows
no settings, no property and no log, and it never decides who may send.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol, Self
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import Struct

from collector.errors import NotFound, Refusal
from collector.http.request import RequestHead
from collector.http.response import HeaderLines, Response, json_response

MOST_EVENTS: Final = 2500
"""Events in one request of a dialect: Segment's SDKs send so many in 500 kB."""

_NOT_FOUND: Final = msgspec.json.encode({"code": NotFound.code, "message": "no property has this id, or no such path"})


class Credentials(NamedTuple):
    """The property that a request or an event names by its public id, and the secret beside it; empty if none."""

    property_id: str
    secret: str

    @classmethod
    def of(cls, key: str) -> Self:
        """The credentials in a key, which is `ID` or `ID:SECRET`."""
        property_id, _, secret = key.partition(":")
        return cls(property_id, secret)


NO_CREDENTIALS: Final = Credentials("", "")


class DialectEvent(Struct, frozen=True):
    """One event of a request, as one of ours."""

    raw: bytes
    """The bytes for a dead letter if `event` is empty: the event as sent, without secrets if that is easy."""
    event: bytes
    """Our event, a JSON object on one line; empty if `refusal` says why there is none."""
    refusal: Refusal | None = None
    is_s2s: bool = False
    """Whether a server sent it: then the address and the user agent of the request are not the visitor's."""
    ip: str | None = None
    """The visitor's address as the event tells it; it is no longer in `event`."""
    user_agent: str | None = None
    """The visitor's user agent, likewise."""
    credentials: Credentials = NO_CREDENTIALS
    """Those in the event itself, which count if the request has none."""
    is_anonymous: bool = False
    """Whether the client asks for no address and no cookie: then neither of the request's is read or stored."""


PAUSE: Final = DialectEvent(b"", b"")
"""Not an event: other requests may run now, since the next step takes as long as the body."""
LONG_BYTES: Final = 256 << 10
"""Bytes of a body for which a pause pays. To read them takes 1 ms."""


class Result(NamedTuple):
    """The numbers of events of a request by their fate: all are in the log, or dead letters."""

    stored: int
    duplicates: int
    rejected: int


class Dialect(Protocol):
    """Serves the paths of one family of SDKs. All methods are pure."""

    name: str
    """As in the settings, in records and in metrics."""
    paths: tuple[str, ...]
    """The paths that take events, without a slash at the end; with one they are the same."""
    pattern: re.Pattern[bytes] | None
    """Further paths: it matches the whole path."""

    def credentials(self, head: RequestHead) -> Credentials:
        """The credentials in the head of a request: its path, query or headers."""

    def retries(self, head: RequestHead) -> bool:
        """Whether the SDK sends again after a 503. Requests that nobody sends again are shed last."""

    def events(self, head: RequestHead, body: bytes) -> Iterator[DialectEvent]:
        """The events of a request, whose inflated body is `body`. Raises BadEvent or TooLarge for the whole request.

        A bad event is one with a `refusal`. The work between two events is bounded, because other requests may run
        between; so is that between two reads of a long body if a PAUSE is yielded there.
        """

    def response(self, head: RequestHead, result: Result) -> Response:
        """The response that the SDK takes as success."""

    def refusal(self, head: RequestHead, refusal: Refusal) -> Response:
        """The response to a request that is refused as a whole. Its headers for CORS are added later."""


def path_of(head: RequestHead) -> bytes:
    """The path of a request without percent escapes and without a slash at the end."""
    return unquote_to_bytes(head.path).rstrip(b"/")


def refusal_response(refusal: Refusal, headers: HeaderLines = b"") -> Response:
    """The response to a refused request, as JSON. Unlike on `/event`, a 404 has a code too: some SDKs parse it."""
    response = json_response(refusal, headers)
    if refusal.code != NotFound.code:
        return response
    return Response(response.status, response.headers, _NOT_FOUND)
