"""Endpoints under any ASGI server, with the same requests and responses as under our HTTP protocol."""

import asyncio
import urllib.parse

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from collector.errors import Overloaded, Rejected, SlowBody, TooLarge
from collector.http.endpoint import AnyEndpoint
from collector.http.exchange import SHORT_BYTES
from collector.http.in_flight import InFlight
from collector.http.meter import Meter
from collector.http.request import Request, RequestHead
from collector.http.response import Response, header_pairs, response_of
from collector.http.routes import Routes
from collector.settings import Limits


class AsgiFace:
    """An ASGI application that serves endpoints. A class, since Starlette's `Route` serves a function for GET alone."""

    def __init__(self, routes: Routes, limits: Limits, in_flight: InFlight, meter: Meter) -> None:
        self._routes = routes
        self._body_seconds = limits.body_seconds
        self._in_flight = in_flight
        self._meter = meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        head = head_of(scope)
        endpoint = self._routes.find(head.path)
        request = endpoint.admit(head)
        if isinstance(request, Response):
            await self._send(send, head, request, closes=head.has_body)
            return
        parts: list[bytes] = []
        held_bytes = 0
        try:
            await self._collect(request, receive, parts)
            held_bytes = sum(map(len, parts))
            request.body = b"".join(parts)
            parts.clear()
            self._meter.tick()
            whole_at = self._meter.now
            await self._send(send, head, await _taken(endpoint, request), whole_at, closes=False)
        except (Rejected, Overloaded) as error:
            await self._send(send, head, endpoint.refuse(request, error), closes=True)
        except ClientDisconnect:
            return
        finally:
            self._in_flight.release(held_bytes or sum(map(len, parts)))

    async def _collect(self, request: Request, receive: Receive, parts: list[bytes]) -> None:
        """Read the body. Raises TooLarge, SlowBody, Overloaded, ClientDisconnect."""
        length = request.head.content_length or 0
        received = 0
        try:
            async with asyncio.timeout(self._body_seconds):
                more_body = True
                while more_body and length <= request.body_limit:
                    message = await receive()
                    if message["type"] != "http.request":
                        raise ClientDisconnect
                    part: bytes = message.get("body", b"")
                    if not self._in_flight.reserve(len(part)):
                        raise Overloaded("too many bodies are arriving at once")
                    if parts and len(parts[-1]) < SHORT_BYTES:
                        parts[-1] += part
                    else:
                        parts.append(part)
                    received += len(part)
                    length = max(length, received)
                    more_body = message.get("more_body", False)
        except TimeoutError:
            raise SlowBody("the body did not arrive in time") from None
        if length > request.body_limit:
            raise TooLarge(f"the body is over the limit of {request.body_limit} bytes")

    async def _send(
        self, send: Send, head: RequestHead, response: Response, whole_at: float = 0.0, *, closes: bool
    ) -> None:
        """Send a response. `closes`: the rest of the request stays unread, so the connection must close."""
        self._meter.tick()
        self._meter.count(head.path, response.status, whole_at)
        headers = [*header_pairs(response), *([(b"connection", b"close")] if closes else [])]
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})


async def _taken(endpoint: AnyEndpoint, request: Request) -> Response:
    taken = endpoint.take(request)
    if isinstance(taken, Response):
        return taken
    try:
        return await response_of(taken)
    except Exception as error:
        return endpoint.refuse(request, error)


def head_of(scope: Scope) -> RequestHead:
    """The request head in an ASGI scope."""
    client = scope.get("client")
    headers = [(bytes(name).lower(), bytes(value)) for name, value in scope["headers"]]
    path = scope.get("raw_path") or urllib.parse.quote(scope["path"]).encode()
    return RequestHead(
        scope["method"],
        path.partition(b"?")[0],
        scope["query_string"],
        headers,
        dict(headers),
        (client[0], client[1]) if client else None,
        scope.get("scheme", "http"),
        scope["http_version"],
    )
