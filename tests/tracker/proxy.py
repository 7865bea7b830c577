"""A proxy between browsers and the collector that injects faults and records the requests."""

import asyncio
import json
import time
from collections import deque
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

import aiohttp
from aiohttp import web

from bench.processes import free_port
from tests.tracker.background import Background, cancel
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
        return self.query["queued"] == "0"

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
        self._serving: set[asyncio.Task[Any] | None] = set()
        self._is_down = False
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
        """Cut each connection, at once if it is new."""
        self._background.run(self._cut_all())

    def up(self) -> None:
        """Serve again."""
        self._is_down = False

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
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._protocol, "127.0.0.1", self.port)

    def _protocol(self) -> asyncio.BaseProtocol:
        return _Refusing() if self._is_down else self._pages()

    async def _cut_all(self) -> None:
        self._is_down = True
        for each in self._pages.connections:
            if each.transport:
                each.transport.abort()

    async def _close(self) -> None:
        """A request of a page that is gone is served to its end, so the server does not know its task any more."""
        await self._cut_all()
        await asyncio.sleep(_AT_ONCE)  # asyncio leaks a connection that is being accepted while the server closes
        self._listener.close()
        await self._pages.shutdown(_AT_ONCE)
        await cancel(filter(None, self._serving))
        await self._client.close()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self._serving.add(asyncio.current_task())
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
        if fault.is_passed and not (answer and answer.status == HTTPStatus.OK):
            return answer  # a killed collector has confirmed nothing, so no answer may either
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


class _Refusing(asyncio.Protocol):
    """Of a connection that comes while the proxy is down. To close the port would leak what is just being accepted."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


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
