"""`POST /api/try`: sends an event to this node's own port, like any client, and returns the response."""

import asyncio
import time
from contextlib import closing
from http.client import HTTPException
from typing import Final

from msgspec import Struct
from msgspec.structs import replace
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.errors import BadSettings
from collector.ops.console.access.actions import check_actions, log_action
from collector.ops.console.api.bodies import read_body
from collector.ops.console.api.refusals import json_response, refused
from collector.ops.console.lookup.curl import curl_of_request
from collector.ops.console.try_event.events import TriedRequest, ends_of, stored_events
from collector.ops.console.try_event.request import Try, TryRequest, try_request
from collector.ops.own_port import own_port
from collector.settings import PropertySettings, ServerSettings, Settings
from collector.settings.environment import read_header_key
from collector.web.addresses import own_url
from wal.log import now_ms

_MOST_BYTES: Final = 256 << 10
"""An event of 64 KiB of which every third byte needs an escape fits."""
_SECONDS: Final = 10.0
_MOST_RESPONSE_BYTES: Final = 64 << 10
_AT_A_TIME: Final = 4
"""Each takes one of the 40 threads, which `/status` and `/metrics` need, too."""
_FIRST_REFUSAL: Final = 400
_SECRET_HEADERS: Final = ("set-cookie",)
"""Headers of the response that are not shown: the cookie is that of a visitor."""


class TryResponse(Struct, frozen=True):
    """The response of the event port, the command that sends the same again, and the stored events."""

    status: int
    headers: dict[str, str]
    body_text: str
    event_id: str | None
    """That of the response; of a dialect, whose responses have none, the first of `events`."""
    took_ms: float
    curl: str | None = None
    events: tuple[str, ...] = ()
    """The ids of the events that were stored, at most MOST_EVENTS."""


class TryEndpoint:
    """Serves `/api/try`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._properties = {f"{prop.portal_id}/{prop.prop_id}": prop for prop in settings.property}
        self._turns = asyncio.Semaphore(_AT_A_TIME)

    def route(self) -> Route:
        """The route."""
        return Route("/api/try", self._serve, methods=["POST"])

    async def _serve(self, request: Request) -> Response:
        check_actions(self._settings.admin)
        attempt = await read_body(request, Try, _MOST_BYTES)
        prop = self._properties.get(attempt.property)
        if prop is None:
            raise refused("bad_body", f"property: expected PORTAL/PROP of a property, got {attempt.property!r}")
        sent = try_request(attempt, prop, _write_key(prop))
        async with self._turns:
            response = await run_in_threadpool(_response_with_events, self._settings, attempt, prop, sent)
        subject, event = f"{attempt.dialect} to {attempt.property}", response.event_id or "no event"
        log_action(request, "try", subject, f"{response.status}, {event}")
        return json_response(response)


def _write_key(prop: PropertySettings) -> str | None:
    """One of the property's write keys, which goes to the event port and never to the page."""
    try:
        return read_header_key("write_keys", prop.write_keys[0]).decode("ascii") if prop.write_keys else None
    except BadSettings as error:
        raise refused("unavailable", str(error)) from None


def _response_with_events(settings: Settings, attempt: Try, prop: PropertySettings, sent: TryRequest) -> TryResponse:
    """Send a request, and find its events."""
    ends, begun_ms = ends_of(settings.log.dir), now_ms()
    response = _send(settings.server, sent)
    events = [response.event_id] if response.event_id else []
    if not events and response.status < _FIRST_REFUSAL:
        events = stored_events(settings.log.dir, ends, TriedRequest(prop, attempt.dialect, begun_ms, now_ms()))
    return replace(
        response,
        event_id=next(iter(events), None),
        curl=curl_of_request(own_url(settings.server) + sent.target, sent.headers, sent.body, prop),
        events=tuple(events),
    )


def _send(server: ServerSettings, sent: TryRequest) -> TryResponse:
    if not server.port:
        raise refused("unavailable", "server.port is 0, so the console does not know it: set a port and restart")
    begun = time.monotonic()
    try:
        with closing(own_port(server, _SECONDS)) as connection:
            connection.request("POST", sent.target, sent.body, sent.headers)
            response = connection.getresponse()
            body = response.read(_MOST_RESPONSE_BYTES)
    except (OSError, HTTPException) as error:
        message = f"no response from {server.host} port {server.port}: {error}; `collector health` tells more"
        raise refused("unreachable", message) from None
    headers = {name.lower(): value for name, value in response.getheaders() if name.lower() not in _SECRET_HEADERS}
    took_ms = round((time.monotonic() - begun) * 1000, 1)
    return TryResponse(response.status, headers, _text(body, headers), headers.get("x-event-id"), took_ms)


def _text(body: bytes, headers: dict[str, str]) -> str:
    media = headers.get("content-type", "")
    return f"{len(body)} bytes of {media}" if media.startswith("image/") else body.decode(errors="replace")
