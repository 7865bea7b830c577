"""`GET /api/stream`: the live view as server-sent events, an ASGI application."""

import asyncio
import re
from collections.abc import Callable, Coroutine
from contextlib import nullcontext, suppress
from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from collector.ops.console.api.parameters import read_parameters
from collector.ops.console.api.refusals import refused
from collector.ops.console.live.messages import LIVE, RETRY_MS, TOPICS, LiveMessages, Sources, Wish, message
from collector.ops.console.rows.filters import FilterParameters, filters_of
from collector.ops.console.rows.redaction import Redaction

MOST_STREAMS: Final = 20
_RETRY_SECONDS: Final = 5
_LOOK_SECONDS: Final = 1.0
"""How long a stream goes on after its session ended."""
_PLACE: Final = re.compile(r"([0-9a-f]{8})\.([0-9]{1,16})")
_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class StreamParameters(FilterParameters, frozen=True):
    """The query of a stream."""

    topics: str = LIVE
    after: str | None = None


class Streams:
    """At most MOST_STREAMS streams at a time. One more is refused with 503."""

    def __init__(self, sources: Sources, is_let_in: Callable[[Scope], bool]) -> None:
        """`is_let_in` tells whether the sender of a request is still logged in, if that is needed."""
        self._sources = sources
        self._is_let_in = is_let_in
        self._open = 0

    def route(self) -> Route:
        """The route."""
        return Route("/api/stream", self, methods=["GET"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one stream until its client leaves, or is logged out. Raises Rejected before anything is sent."""
        wish = _wish(Request(scope), self._sources.live.redaction)
        if self._open >= MOST_STREAMS:
            text = f"{MOST_STREAMS} viewers are open already: close one, then try again"
            raise refused("unavailable", text, _RETRY_SECONDS)
        self._open += 1
        try:
            await _serve(_send_all(self._sources, wish, send), receive, send, partial(self._is_let_in, scope))
        finally:
            self._open -= 1


async def _serve(
    messages: Coroutine[Any, Any, None], receive: Receive, send: Send, is_let_in: Callable[[], bool]
) -> None:
    sending, leaving = asyncio.create_task(messages), asyncio.create_task(_left(receive))
    over = asyncio.create_task(_logged_out(is_let_in))
    try:
        await asyncio.wait((sending, leaving, over), return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:  # the server stops, and would log an error if this were raised
        await _say_goodbye(send, "stop")
    finally:
        for task in (sending, leaving, over):
            task.cancel()
    with suppress(asyncio.CancelledError):
        await sending
    if over.done() and not over.cancelled():
        await _say_goodbye(send, "log-in needed")


async def _send_all(sources: Sources, wish: Wish, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    async with sources.live.watched() if LIVE in wish.topics else nullcontext():
        async for part in LiveMessages(sources, wish).parts():
            await _send_part(send, part)


async def _send_part(send: Send, part: bytes, *, is_last: bool = False) -> None:
    await send({"type": "http.response.body", "body": part, "more_body": not is_last})


async def _say_goodbye(send: Send, reason: str) -> None:
    await _send_part(send, message("bye", {"reason": reason, "retry_ms": RETRY_MS}), is_last=True)


async def _logged_out(is_let_in: Callable[[], bool]) -> None:
    """Return when the client must log in again."""
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        if not is_let_in():
            return


async def _left(receive: Receive) -> None:
    """Return when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _wish(request: Request, redaction: Redaction) -> Wish:
    """The topics, filters and place of a request. Raises Rejected."""
    parameters = read_parameters(request.scope["query_string"], StreamParameters)
    topics = frozenset(parameters.topics.split(","))
    if not topics <= set(TOPICS):
        raise refused("bad_parameter", f"topics: expected {' and '.join(TOPICS)}, separated by a comma")
    after = request.headers.get("last-event-id") or parameters.after
    place = _PLACE.fullmatch(after) if after else None
    if after and place is None:
        raise refused("bad_parameter", "after: expected the id of a message of this stream")
    return Wish(topics, filters_of(parameters, redaction.hides), (place[1], int(place[2])) if place else None)
