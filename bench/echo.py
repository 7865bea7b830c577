"""The references: what an HTTP server costs that sends the body back, bare and as a route of Starlette."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Echo a body: the least that uvicorn can do with one."""
    if scope["type"] != "http":
        return
    message = await receive()
    body = message["body"]
    while message["more_body"]:  # a long one arrives in pieces
        message = await receive()
        body += message["body"]
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _echo(request: Request) -> Response:
    return Response(await request.body(), media_type="application/json")


starlette = Starlette(routes=[Route("/event", _echo, methods=["GET", "POST"])])
