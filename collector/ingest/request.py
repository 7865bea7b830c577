"""A request that may send to its property, with the facts from its head."""

from typing import Final

from msgspec import Struct

from collector.errors import MethodNotAllowed, UrlTooLong
from collector.http.request import Request, RequestHead
from collector.http.response import HeaderLines
from collector.ingest.options import RequestOptions
from collector.ingest.query import Pairs
from collector.ingest.record import RequestContext
from collector.ingest.responses import METHODS

_METHODS: Final = frozenset(METHODS.decode().split(", "))


class EventRequest(Request, Struct):
    """An admitted request; its body has the events, or its query has one."""

    options: RequestOptions
    context: RequestContext
    is_https: bool
    is_stored: bool
    """False for HEAD, which gets the response of GET, and stores nothing."""
    token: bytes = b""
    """The session token; empty if there is none."""
    headers: HeaderLines = b""
    """The headers of every response to it."""
    with_cookie: bool = False
    media: bytes = b""
    """The content type of the body, without parameters."""
    encoding: bytes = b""
    pairs: Pairs | None = None
    """The pairs of a query that carries the event; None if the body does."""
    key: str = ""
    """The id that the header `Idempotency-Key` gives to the event, or with its index to each event of a batch."""
    events: int | None = None
    """The events that are still pending; None until the request is whole or refused."""
    lost: int = 0
    """The events that the client lost before the appended ones."""
    share: int = 1
    """The number of requests that a body was split into: they share the room of one in the dead letters."""


def check_head(head: RequestHead, url_bytes: int) -> None:
    """Check what is the same on all paths for events. Raises MethodNotAllowed, UrlTooLong."""
    if head.method not in _METHODS:
        raise MethodNotAllowed(METHODS)
    if len(head.query) + len(head.path) > url_bytes:
        raise UrlTooLong(f"the URL is over the limit of {url_bytes} bytes")
