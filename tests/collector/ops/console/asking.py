"""Requests to the application of the admin address, without a process."""

import asyncio
from collections.abc import Iterable
from typing import Any

from starlette.types import ASGIApp, Message

from collector.server.admin_app import Admin, create_admin_app
from collector.server.node_state import NodeState, WorkerState
from collector.settings import Settings
from tests.running import Response

PORT = 8081
OWN = (("host", f"127.0.0.1:{PORT}"), ("sec-fetch-site", "same-origin"))
"""The headers of a browser that shows the console."""


def admin_app(settings: Settings) -> ASGIApp:
    """The application of a node with one worker, which is ready."""
    state = NodeState((WorkerState(0, "serving", 7, "00", None),))
    return create_admin_app(Admin(settings, "collector.toml", lambda: state, ()))


def asked(
    app: ASGIApp,
    path: str,
    headers: Iterable[tuple[str, str]] = OWN,
    *,
    method: str = "GET",
    body: bytes = b"",
    address: str = "127.0.0.1",
) -> Response:
    """The response to a request from an address."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    async def serve() -> None:
        await app(scope_of(path, headers, method=method, address=address), receive, send)

    try:
        asyncio.run(serve())
    except ValueError:
        assert sent, "after a bug there is an answer, and the exception is for the server's log"
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Response(sent[0]["status"], found, b"".join(each.get("body", b"") for each in sent[1:]))


def scope_of(
    path: str, headers: Iterable[tuple[str, str]], *, method: str = "GET", address: str = "127.0.0.1"
) -> dict[str, Any]:
    """The ASGI scope of a request."""
    path, _, query = path.partition("?")
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
        "client": (address, 1),
        "server": ("127.0.0.1", PORT),
    }
