"""`python -m bench.receiver FD`: the smallest receiver for the HTTP sink, on a socket that is already bound.

It drops repeated batches, and lists the ids of events and the arrivals of batches.
"""

import socket
import sys
import time
from io import BytesIO
from typing import Final

import uvicorn
import zstandard
from msgspec import json
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Arrival = tuple[float, str, int]
"""Monotonic seconds at which a batch came, its log, and the number of its events."""

_seen: Final[set[str]] = set()
_arrivals: Final[list[Arrival]] = []
_ids: Final[list[bytes]] = []


async def _take(request: Request) -> Response:
    """Note a batch of records."""
    token = request.headers["idempotency-key"]
    body = await request.body()
    if token not in _seen:
        _seen.add(token)
        lines = zstandard.ZstdDecompressor().stream_reader(BytesIO(body)).read().splitlines()
        _ids.extend(id_of(line) for line in lines)
        _arrivals.append((time.monotonic(), request.path_params["log_id"], len(lines)))
    return Response()


async def _list_arrivals(_: Request) -> Response:
    return Response(json.encode(_arrivals))


async def _list_ids(_: Request) -> Response:
    return Response(b"\n".join(_ids))


def id_of(line: bytes) -> bytes:
    """The id of a record, its first member."""
    return line.split(b'"', 4)[3]


def main() -> None:
    """Serve until SIGTERM."""
    routes = [
        Route("/arrivals", _list_arrivals),
        Route("/ids", _list_ids),
        Route("/{log_id}", _take, methods=["POST"]),
    ]
    config = uvicorn.Config(Starlette(routes=routes), log_level="warning", access_log=False)
    uvicorn.Server(config).run([socket.socket(fileno=int(sys.argv[1]))])


if __name__ == "__main__":
    main()
