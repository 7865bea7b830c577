"""A request that was let in: what is known of it before its body."""

from collections.abc import Callable

from msgspec import Struct

from collector.ingest.answer import Headers
from collector.ingest.envelope import Visit
from collector.ingest.target import Target


class Request(Struct, frozen=True):
    """A request to a property that may send."""

    target: Target
    visit: Visit
    token: bytes
    headers: Headers
    """What every answer to it carries."""
    with_cookie: bool
    is_https: bool
    is_stored: bool
    """False for HEAD, which is answered as GET would be, and leaves nothing behind."""
    is_gone: Callable[[], bool] = lambda: False
    """Whether the client has left, so that long work for it can end."""
