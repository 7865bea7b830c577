"""A refusal leaves nothing in memory: no exception, frame or request, however often a client is refused."""

import asyncio
import gc
import gzip
import importlib
import pkgutil
import types
import typing
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import zstandard
from msgspec import Struct
from uvicorn.server import ServerState

import collector
import wal
from collector.http.connection import Connection
from collector.http.connections import STATE, Connections
from collector.http.exchange import Exchange
from collector.http.in_flight import InFlight
from collector.http.meter import Meter
from collector.http.request import Request
from collector.http.response import Pending
from collector.http.routes import Routes
from collector.ingest.endpoint import EventEndpoint
from collector.ingest.record import RequestContext
from collector.ingest.storing.outcome import AllRefused, EventBatch, StoredBatch
from collector.ops.counters import CounterBlock
from collector.ops.notices import Notices
from collector.settings import Limits, PropertySettings
from tests.collector.live_intake import endpoint, live_intake
from tests.collector.silent_transport import SilentTransport

TIMES: Final = 200
PAIR: Final = "portal_id=1&prop_id=2&resp_type=json"
JSON: Final = ("content-type: application/json",)
LIMITS: Final = Limits(body_bytes=64 << 10, event_bytes=4096, batch_events=50, in_flight_bytes=8 << 20)
PROPERTIES: Final = (
    PropertySettings(1, 2, required=("ea",), origins=("https://shop.example.com",), rejects_per_second=1e9),
    PropertySettings(1, 3, required=("ea",), rejects_per_second=0.001),
    PropertySettings(1, 4, required=("ea",), events_per_second=0.001),
)


def _request(method: str, query: str, body: bytes | None = None, *headers: str) -> bytes:
    lines = [f"{method} /event?{query} HTTP/1.1", "host: x", *headers]
    if body is not None:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


REFUSALS: Final = {
    "a bad event": (_request("POST", PAIR, b'{"ec":1}', *JSON), 400),
    "no JSON": (_request("POST", PAIR, b"{", *JSON), 400),
    "a batch with a bad event": (_request("POST", PAIR, b'[{"ea":"a"},{"ea":1},7]', *JSON), 200),
    "a batch of bad events": (_request("POST", PAIR, b"[1,1,1,1,1,1,1,1,1,1]", *JSON), 400),
    "a batch that is no array": (_request("POST", PAIR, b"[1,", *JSON), 400),
    "too many events": (_request("POST", PAIR, b"[" + b"1," * 60 + b"1]", *JSON), 413),
    "NDJSON with a bad line": (_request("POST", PAIR, b'{"ea":"a"}\n{', "content-type: application/x-ndjson"), 200),
    "an event over its limit": (_request("POST", PAIR, b'{"ea":"%b"}' % (b"a" * 5000), *JSON), 413),
    "an event nested too deep": (_request("POST", PAIR, b'{"x":%b}' % (b"[" * 99 + b"]" * 99), *JSON), 400),
    "a small body that inflates": (
        _request("POST", PAIR, zstandard.compress(b"[1" + b",1" * 9999 + b"]"), "content-encoding: zstd", *JSON),
        413,
    ),
    "a body that is no gzip": (_request("POST", PAIR, b"{}", "content-encoding: gzip", *JSON), 400),
    "a gzip cut short": (_request("POST", PAIR, gzip.compress(b"{}")[:-4], "content-encoding: gzip", *JSON), 400),
    "another content type": (_request("POST", PAIR, b"{}", "content-type: image/png"), 415),
    "a form with too many fields": (
        _request("POST", PAIR, b"a=1&" * 1010, "content-type: application/x-www-form-urlencoded"),
        400,
    ),
    "another response type": (_request("POST", "portal_id=1&prop_id=2&resp_type=bogus", b'{"ea":"a"}', *JSON), 400),
    "a redirect to an unlisted host": (
        _request("GET", "portal_id=1&prop_id=2&resp_type=redirect&ea=click&redirect_url=https%3A%2F%2Fevil.example"),
        400,
    ),
    "a redirect that is not a click": (
        _request("GET", "portal_id=1&prop_id=2&resp_type=redirect&ea=x&redirect_url=https%3A%2F%2Fevil.example"),
        400,
    ),
    "an unknown property": (_request("POST", "portal_id=1&prop_id=99", b"{}", *JSON), 404),
    "no property": (_request("GET", "ea=a"), 400),
    "an origin that is not listed": (_request("POST", PAIR, b"{}", "origin: https://evil.example", *JSON), 403),
    "another method": (_request("PUT", PAIR, b"{}", *JSON), 405),
    "too many rejects": (_request("POST", "portal_id=1&prop_id=3", b"{}", *JSON), 429),
    "over the rate": (_request("POST", "portal_id=1&prop_id=4", b'[{"ea":"a"},{"ea":"b"}]', *JSON), 429),
    "HEAD of a bad event": (_request("HEAD", PAIR + "&ec=1"), 400),
}


class _Transport(SilentTransport):
    """Signals that a response was written, and records its status."""

    def __init__(self) -> None:
        super().__init__()
        self.answered = asyncio.Event()
        self.status = 0
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.status = int(bytes(data[9:12]))
        self.answered.set()

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close


class _Client:
    """One connection, reopened after it was closed."""

    def __init__(self, served: EventEndpoint) -> None:
        in_flight = InFlight(LIMITS.in_flight_bytes)
        routes = Routes({}, served)
        meter = Meter(CounterBlock.create(), routes)
        self._connections = Connections(LIMITS, routes, in_flight=in_flight, notices=Notices(), meter=meter)
        self._transport = _Transport()
        self._transport.closed = True

    async def ask(self, request: bytes) -> int:
        """The status of the response."""
        if self._transport.closed:
            state = {STATE: self._connections}
            self._connection = Connection(server_state=ServerState(), app_state=state)
            self._transport = _Transport()
            self._connection.connection_made(self._transport)
        self._transport.answered.clear()
        self._connection.data_received(request)
        await self._transport.answered.wait()
        if self._transport.closed:
            self._connection.connection_lost(None)
        return self._transport.status

    def close(self) -> None:
        """End the timer."""
        self._connections.close()


def _kept() -> int:
    """The number of objects that must not outlive their request."""
    gc.collect()
    kinds = (
        BaseException,
        types.FrameType,
        types.TracebackType,
        Exchange,
        Request,
        Pending,
        EventBatch,
        StoredBatch,
        AllRefused,
        RequestContext,
    )
    return sum(isinstance(each, kinds) for each in gc.get_objects())


@pytest.mark.parametrize("kind", REFUSALS)
def test_hundreds_of_refusals_over_one_connection_leave_nothing(tmp_path: Path, kind: str) -> None:
    request, status = REFUSALS[kind]

    async def run() -> None:
        async with live_intake(tmp_path, LIMITS) as logs:
            client = _Client(endpoint(logs, *PROPERTIES, limits=LIMITS))
            try:
                for _ in range(10):
                    last = await client.ask(request)
                assert last == status
                before = _kept()
                for _ in range(TIMES):
                    await client.ask(request)
                assert _kept() <= before + 2
            finally:
                client.close()

    asyncio.run(run())


def test_hundreds_of_requests_to_a_log_that_refuses_them_leave_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        async with live_intake(tmp_path, LIMITS) as logs:
            client = _Client(endpoint(logs, *PROPERTIES, limits=LIMITS))
            await logs.committer.close()
            try:
                for _ in range(10):
                    assert await client.ask(_request("POST", PAIR, b'{"ea":"a"}', *JSON)) == 503
                before = _kept()
                for _ in range(TIMES):
                    await client.ask(_request("POST", PAIR, b'{"ea":"a"}', *JSON))
                assert _kept() <= before
                refusal = logs.committer._refusal
                assert refusal
                assert refusal.__traceback__ is None
            finally:
                client.close()

    asyncio.run(run())


_HARMLESS: Final = (int, str, bytes, bool, float, type(None), msgspec.UnsetType, msgspec.Raw)
"""Types of values that refer to nothing."""


def _hidden_structs() -> Iterator[type[Struct]]:
    """All our structs that the garbage collector does not track."""
    for package in (collector, wal):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            for each in vars(importlib.import_module(module.name)).values():
                is_ours = isinstance(each, type) and issubclass(each, Struct) and each.__module__ == module.name
                if is_ours and not each.__struct_config__.gc:
                    yield each


def _is_harmless(kind: Any) -> bool:
    if typing.get_origin(kind) is typing.Annotated:
        return _is_harmless(typing.get_args(kind)[0])
    if typing.get_origin(kind) is typing.Literal:
        return True
    if arguments := typing.get_args(kind):
        return all(_is_harmless(each) for each in arguments if each is not Ellipsis)
    if issubclass(kind, Struct):
        return all(_is_harmless(field.type) for field in msgspec.structs.fields(kind))
    return issubclass(kind, (*_HARMLESS, Enum))


def test_the_garbage_collector_sees_every_struct_that_can_reach_an_exception_a_frame_or_a_future() -> None:
    hidden = list(_hidden_structs())
    assert {each.__name__ for each in hidden} >= {"Response", "Session", "Event"}
    assert [
        f"{each.__name__}.{field.name}"
        for each in hidden
        for field in msgspec.structs.fields(each)
        if not _is_harmless(field.type)
    ] == []
