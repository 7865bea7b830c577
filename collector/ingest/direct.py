"""Paths that are looked up rather than matched: Starlette's router costs 3 us a request, see `python -m bench`."""

from collections.abc import Awaitable, Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from collector.ingest.route import EventEndpoint


class Direct:
    """An ASGI application that hands these paths to their endpoints, and everything else to `other`."""

    def __init__(self, endpoints: Mapping[str, EventEndpoint], other: ASGIApp) -> None:
        self._endpoints = endpoints
        self.begins = {path.encode(): endpoint.begin for path, endpoint in endpoints.items()}
        """`EventEndpoint.begin` of each path as it is sent; one with escapes goes the long way."""
        self._other = other

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request, or the lifespan."""
        return self._endpoints.get(scope.get("path", ""), self._other)(scope, receive, send)
