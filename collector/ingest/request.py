"""A request of a property that may send: what its head tells."""

from msgspec import Struct

from collector.http.request import Request
from collector.http.response import HeaderLines
from collector.ingest.options import RequestOptions
from collector.ingest.query import Pairs
from collector.ingest.record import RequestContext


class EventRequest(Request, Struct):
    """An admitted request; its body has the events, or its query has one."""

    options: RequestOptions
    context: RequestContext
    token: bytes
    """The session token; empty if there is none."""
    headers: HeaderLines
    """What every response to it carries."""
    with_cookie: bool
    is_https: bool
    is_stored: bool
    """False for HEAD, which is answered as GET would be, and leaves nothing behind."""
    media: bytes
    """The content type of the body, without parameters."""
    encoding: bytes
    pairs: Pairs | None
    """Of a query that has the event."""
