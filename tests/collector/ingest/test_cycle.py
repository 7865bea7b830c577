"""Requests that an application is asked for: it gets what uvicorn itself would have given it."""

import asyncio
from typing import Any

import httptools
import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from collector.ingest.connection import STATE, Connection, Connections, _split
from collector.ingest.cycle import CYCLE, IS_LATE, Cycle
from collector.ingest.head import Head, head_of
from collector.notices import Notices
from collector.settings import Limits
from tests.collector.silent_transport import SilentTransport


def _asked(protocol: type[HttpToolsProtocol], request: bytes) -> tuple[Scope, bytes]:
    """The scope that an application sees, and the body that it reads."""
    seen: list[tuple[Scope, bytes]] = []

    async def run() -> None:
        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            before, body, more = dict(scope), b"", True
            while more:
                message = await receive()
                body += message["body"]
                more = message["more_body"]
            seen.append((before, body))
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})

        config = uvicorn.Config(application, http=protocol, ws="none", lifespan="off", log_config=None)
        config.load()
        connections = Connections(Limits(), {}, Notices())
        server = protocol(config=config, server_state=ServerState(), app_state={STATE: connections})
        server.connection_made(SilentTransport())
        server.data_received(request)
        while not seen:
            await asyncio.sleep(0)
        connections.close()

    asyncio.run(run())
    ((scope, body),) = seen
    scope.pop(CYCLE, None)
    assert scope.pop("state").keys() == {STATE}
    return scope, body


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /a%20b/%C3%A9?q=%20&r HTTP/1.1\r\nHost: x\r\nX-Twice: 1\r\nx-twice: 2\r\n\r\n",
        b"GET /a?b?c HTTP/1.0\r\n\r\n",
        b"GET /a#b?c HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET http://there.example.com:99/a?b=c HTTP/1.1\r\nhost: x\r\n\r\n",
        b"OPTIONS /? HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST //a HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n12345",
        b"POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\n12\r\n3\r\n345\r\n0\r\n\r\n",
    ],
)
def test_an_application_is_asked_as_uvicorn_asks_it(request_: bytes) -> None:
    assert _asked(Connection, request_) == _asked(HttpToolsProtocol, request_)


@given(st.text(st.sampled_from("/?#:@%[]a.&=~\"'|é"), max_size=12).map(str.encode))
def test_a_url_is_split_as_its_parser_does(rest: bytes) -> None:
    try:
        parsed = httptools.parse_url(b"/" + rest)
    except httptools.HttpParserInvalidURLError:
        return  # what reads the request line lets none of these through
    assert _split(b"/" + rest) == (parsed.path, parsed.query or b"")


def test_what_became_known_before_an_application_is_asked_stays_known() -> None:
    head = Head("POST", b"/event", b"", [], None, "http")

    async def run() -> None:
        config = uvicorn.Config(_never, http=Connection, ws="none", lifespan="off", log_config=None)
        config.load()
        connections = Connections(Limits(), {}, Notices())
        connection = Connection(config=config, server_state=ServerState(), app_state={STATE: connections})
        connection.connection_made(SilentTransport())
        cycle = Cycle(connection, head, "1.1", keep_alive=True, waits_for_100=False)
        cycle.body += b"abc"
        cycle.more_body, cycle.disconnected = False, True
        cycle.expire()
        assert (bytes(cycle.body), cycle.more_body) == (b"abc", False)
        assert (cycle.disconnected, cycle.keep_alive) == (True, False)
        assert cycle.scope[IS_LATE]  # type: ignore[typeddict-item]
        assert head_of(dict(cycle.scope, client=None)) == head
        assert await cycle.receive() == {"type": "http.disconnect"}
        connections.close()

    asyncio.run(run())


async def _never(_scope: Scope, _receive: Receive, _send: Send) -> Any:
    raise AssertionError("it was asked")
