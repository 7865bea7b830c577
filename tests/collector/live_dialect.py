"""The endpoint of a dialect in front of a live intake, without a network."""

from collections.abc import Awaitable, Callable
from typing import Any

from collector.http.request import RequestHead
from collector.http.response import Pending, Response, response_of
from collector.ingest.dialects.dialect import Dialect
from collector.ingest.dialects.endpoint import DialectEndpoint
from collector.ingest.dialects.senders import Senders
from collector.ingest.policy.client_address import Networks
from collector.ingest.policy.properties import Registry
from collector.settings import Limits, PropertySettings
from tests.collector.live_intake import NOW_MS, Got, Logs, pairs_of

Send = Callable[..., Awaitable[Got]]
"""Takes method, target and body; `content_type="…"` becomes the header content-type."""


def dialect_endpoint(
    logs: Logs,
    dialect: Dialect,
    *properties: PropertySettings,
    limits: Limits | None = None,
    trusted_proxies: Networks = (),
) -> DialectEndpoint:
    """The endpoint that serves these properties."""
    senders = Senders(dialect, Registry(properties), trusted_proxies, lambda: NOW_MS)
    return DialectEndpoint(
        dialect,
        senders,
        logs.intake,
        logs.batches,
        logs.completion,
        logs.accounts,
        limits or Limits(),
        logs.notices,
    )


def sender(served: DialectEndpoint) -> Send:
    """Sends requests to an endpoint."""

    async def send(method: str, target: str | bytes, body: bytes = b"", **headers: str | bytes) -> Got:
        response = await respond(served, sdk_head(method, target, **headers), body)
        return Got(response.status, pairs_of(response.headers), response.body)

    return send


def sdk_head(method: str, target: str | bytes, **headers: str | bytes) -> RequestHead:
    """The head of a request of an SDK."""
    path, _, query = (target.encode() if isinstance(target, str) else target).partition(b"?")
    pairs = [(name.replace("_", "-").encode(), _bytes(value)) for name, value in headers.items()]
    return RequestHead(method, path, query, pairs, dict(pairs), ("203.0.113.7", 4711), "http")


async def respond(served: DialectEndpoint, head: RequestHead, body: bytes = b"") -> Response:
    """What a connection makes of a request, as soon as what it waits for has come."""
    request: Any = served.admit(head)
    if isinstance(request, Response):
        return request
    request.body = body
    taken: Pending = served.take(request)
    try:
        return await response_of(taken)
    except Exception as error:
        return served.refuse(request, error)


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
