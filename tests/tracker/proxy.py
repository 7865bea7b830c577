"""A proxy between browsers and the collector that injects faults and records the requests."""

import asyncio
import json
import time
from collections import deque
from typing import Any
from urllib.parse import parse_qs

import aiohttp
from aiohttp import web

from bench.processes import free_port
from tests.tracker.background import Background
from tests.tracker.faults import PASS, Fault, Plan

_AT_ONCE = 0.01
"""Seconds for handlers to end by themselves; 0 would mean no limit."""
_OF_ONE_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server", "host"}


class Received:
    """A request of a page: when it came (monotonic seconds), and when it was done with."""

    def __init__(self, request: web.BaseRequest, body: bytes, fault: Fault) -> None:
        self.method = request.method
        self.path = request.path
        self.query = {name: values[-1] for name, values in parse_qs(request.query_string).items()}
        self.headers = {name.lower(): value for name, value in request.headers.items()}
        self.body = body
        self.fault = fault
        self.began = time.monotonic()
        self.ended: float | None = None
        self.status = 0
        """That was answered; 0: none."""

    @property
    def is_leave(self) -> bool:
        """Whether a page sent it as it left: the only kind that does not say that it is kept."""
        return "queued" not in self.query

    @property
    def events(self) -> list[dict[str, Any]]:
        """As the body has them."""
        found = json.loads(self.body) if self.body else []
        return found if isinstance(found, list) else [found]

    @property
    def ids(self) -> list[str]:
        """Of the events."""
        return [each["event_id"] for each in self.events]


class Proxy:
    """Listens on a port of 127.0.0.1 for what goes to `behind`. Close it at the end."""

    def __init__(self, background: Background, behind: int) -> None:
        self.port = free_port()
        self.received: list[Received] = []
        self.plan: Plan = lambda: PASS
        """For requests that have no fault in `faults`."""
        self.faults: deque[Fault] = deque()
        """Of the next requests, one each."""
        self._background = background
        self._behind = f"http://127.0.0.1:{behind}"
        background.run(self._open())

    @property
    def url(self) -> str:
        """The address for events."""
        return f"http://127.0.0.1:{self.port}/event"

    @property
    def flying(self) -> int:
        """Requests that have no answer yet."""
        return sum(each.ended is None for each in self.received)

    def down(self) -> None:
        """Refuse connections, and cut those that there are."""
        self._background.run(self._stop())

    def up(self) -> None:
        """Listen again."""
        self._background.run(self._listen())

    def close(self) -> None:
        """Cut everything and stop."""
        self._background.run(self._close())

    def most_at_once(self) -> int:
        """The most requests in flight at one moment, apart from those of leaving pages."""
        sends = [each for each in self.received if not each.is_leave]
        return max((sum(_overlap(each, other) for other in sends) for each in sends), default=0)

    async def _open(self) -> None:
        self._client = aiohttp.ClientSession(auto_decompress=False)
        self._pages = web.Server(self._serve, access_log=None)
        await self._listen()

    async def _listen(self) -> None:
        self._listener = await asyncio.get_running_loop().create_server(self._pages, "127.0.0.1", self.port)

    async def _stop(self) -> None:
        self._listener.close()
        for each in self._pages.connections:
            if each.transport:
                each.transport.abort()

    async def _close(self) -> None:
        await self._stop()
        await self._pages.shutdown(_AT_ONCE)
        await self._client.close()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        fault = self.faults.popleft() if self.faults else self.plan()
        received = Received(request, body, fault)
        self.received.append(received)
        try:
            answer = await self._answer(request, body, fault)
        finally:
            received.ended = time.monotonic()
        if answer is None:
            _cut(request)
            return web.Response()
        received.status = answer.status
        return answer

    async def _answer(self, request: web.BaseRequest, body: bytes, fault: Fault) -> web.Response | None:
        """None: the connection is cut."""
        if fault.delay_seconds:
            await asyncio.sleep(fault.delay_seconds)
        answer = await self._forward(request, body) if fault.is_passed else None
        if fault.is_hung:
            await asyncio.Event().wait()
        if fault.is_lost:
            return None
        return _made(request, fault) if fault.status else answer

    async def _forward(self, request: web.BaseRequest, body: bytes) -> web.Response | None:
        """The collector's answer; None if it has none, because it was killed."""
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _OF_ONE_HOP}
        url = self._behind + request.path_qs
        try:
            async with self._client.request(request.method, url, data=body, headers=headers) as answer:
                kept = {name: value for name, value in answer.headers.items() if name.lower() not in _OF_ONE_HOP}
                return web.Response(status=answer.status, headers=kept, body=await answer.read())
        except (aiohttp.ClientError, OSError):
            return None


def _made(request: web.BaseRequest, fault: Fault) -> web.Response:
    """An answer that the page may read as it may the collector's."""
    headers = {
        "access-control-allow-origin": request.headers.get("origin", "*"),
        "access-control-expose-headers": "x-event-ack, retry-after",
        "content-type": fault.content_type,
        "cache-control": "no-store",
    }
    return web.Response(status=fault.status, headers=headers | dict(fault.headers), body=fault.body.encode())


def _cut(request: web.BaseRequest) -> None:
    if request.transport:
        request.transport.abort()


def _overlap(one: Received, other: Received) -> bool:
    """Whether `other` was in flight when `one` came."""
    return other.began <= one.began and (other.ended is None or other.ended > one.began)
