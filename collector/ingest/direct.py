"""Paths that are looked up rather than matched: Starlette's router costs 3 us a request, see `python -m bench`."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from collector.ingest.answer import Answer
from collector.ingest.head import Head
from collector.ingest.route import EventEndpoint


class Direct:
    """An ASGI application that hands these paths to their endpoints, and everything else to `other`."""

    def __init__(self, endpoints: Mapping[str, EventEndpoint], other: ASGIApp) -> None:
        self._endpoints = endpoints
        self._unescaped = {path.encode(): endpoint for path, endpoint in endpoints.items()}
        self._other = other

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request, or the lifespan."""
        return self._endpoints.get(scope.get("path", ""), self._other)(scope, receive, send)

    def begin(self, head: Head, body: bytes, respond: Callable[[Answer], None]) -> bool:
        """`EventEndpoint.begin` of a path's endpoint; False where it has none, or the path has escapes."""
        endpoint = self._unescaped.get(head.path)
        return endpoint is not None and endpoint.begin(head, body, respond)
