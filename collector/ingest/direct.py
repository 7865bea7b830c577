"""Paths that are looked up rather than matched: Starlette's router costs 3 us a request, see `python -m bench`."""

from collections.abc import Awaitable, Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from collector.ingest.connection import Begin
from collector.ingest.route import EventEndpoint


class Direct:
    """An ASGI application that hands some paths to their endpoints, and everything else to `other`."""

    def __init__(self, other: ASGIApp) -> None:
        self._endpoints: Mapping[str, EventEndpoint] = {}
        self.begins: dict[bytes, Begin] = {}
        """`EventEndpoint.begin` of each path as it is sent; one with escapes goes the long way."""
        self._other = other

    def serve(self, endpoints: Mapping[str, EventEndpoint]) -> None:
        """Serve these paths from now on; whoever has `begins` sees it."""
        self._endpoints = endpoints
        self.begins.update((path.encode(), endpoint.begin) for path, endpoint in endpoints.items())

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request, or the lifespan."""
        return self._endpoints.get(scope.get("path", ""), self._other)(scope, receive, send)
