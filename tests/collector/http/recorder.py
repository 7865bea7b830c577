"""An endpoint that records its requests, a transport that records writes, and connections between the two."""

import asyncio
from typing import NamedTuple

from uvicorn.server import ServerState

from collector.http.connection import Connection
from collector.http.connections import STATE, Connections
from collector.http.in_flight import InFlight
from collector.http.meter import Meter
from collector.http.request import Request, RequestHead
from collector.http.response import Pending, Response, json_response
from collector.http.routes import Routes
from collector.http.status import refusal_of
from collector.ops.counters import CounterBlock
from collector.ops.notices import Notices
from collector.settings import Limits
from tests.collector.silent_transport import SilentTransport

BODY_LIMIT = 100_000


class Recorder:
    """Serves any path. A body says what becomes of it: `!` fails, `?` waits until `go_on`, all else gets 200.

    The path `/refused` is refused by the head.
    """

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.requests: list[Request] = []
        self.waiting: list[asyncio.Future[Response]] = []

    def admit(self, head: RequestHead) -> Response | Request:
        """Admit any request, except for one path."""
        if head.path == b"/refused":
            return Response(403, b"", b"refused")
        request = Request(head=head, body_limit=BODY_LIMIT)
        self.requests.append(request)
        return request

    def take(self, request: Request) -> Response | Pending:
        """Record the body."""
        if request.body == b"!":
            raise ZeroDivisionError
        self.taken.append(request.body)
        if request.body[:1] != b"?":
            return Response(200, b"", request.body)
        self.waiting.append(asyncio.get_running_loop().create_future())
        return Pending(None, self.waiting[-1])

    def refuse(self, request: Request, error: BaseException) -> Response:
        """The refusal, with the path in a header."""
        return json_response(refusal_of(error), b"x-path: %b\r\n" % request.head.path)

    def go_on(self) -> None:
        """Respond to all waiting requests."""
        for future in self.waiting:
            future.set_result(Response(200, b"", b"waited"))
        self.waiting.clear()


class Transport(SilentTransport):
    """Records the bytes written, and whether it is half closed, closed or paused."""

    def __init__(self, address: str = "203.0.113.7") -> None:
        super().__init__(address)
        self.written = b""
        self.closed = self.aborted = self.ended = self.paused = False

    @property
    def statuses(self) -> list[int]:
        """The statuses of the responses written."""
        return [int(part[:3]) for part in self.written.split(b"HTTP/1.1 ")[1:]]

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Note it."""
        self.written += bytes(data)

    def can_write_eof(self) -> bool:
        """True, as for TCP."""
        return True

    def write_eof(self) -> None:
        """Note it."""
        self.ended = True

    def is_closing(self) -> bool:
        """Whether it is closed."""
        return self.closed

    def close(self) -> None:
        """Note it."""
        self.closed = True

    def abort(self) -> None:
        """Note it."""
        self.closed = self.aborted = True

    def pause_reading(self) -> None:
        """Note it."""
        self.paused = True

    def resume_reading(self) -> None:
        """Note it."""
        self.paused = False


class Wire(NamedTuple):
    """A connection and its transport."""

    connection: Connection
    transport: Transport

    def send(self, data: bytes) -> None:
        """Receive bytes, and end this turn of the event loop."""
        self.connection.data_received(data)
        self.connection._all.take_arrived()


class Worker:
    """Connections to a `Recorder`. Create it inside an event loop, and `close` it there."""

    def __init__(self, limits: Limits | None = None, proxy: str = "") -> None:
        self.recorder = Recorder()
        self.notices = Notices()
        self.in_flight = InFlight((limits or Limits()).in_flight_bytes)
        routes = Routes({}, self.recorder)
        self.counters = CounterBlock.create()
        meter = Meter(self.counters, routes)
        self.connections = Connections(
            limits or Limits(header_seconds=10, body_seconds=20),
            routes,
            in_flight=self.in_flight,
            notices=self.notices,
            meter=meter,
            is_proxy=lambda address: address == proxy,
        )

    def connect(self, address: str = "203.0.113.7") -> Wire:
        """A new connection."""
        connection = Connection(server_state=ServerState(), app_state={STATE: self.connections}, config=None)
        transport = Transport(address)
        connection.connection_made(transport)
        return Wire(connection, transport)

    def sweep(self) -> None:
        """Call the timer's function."""
        self.connections.close()
        self.connections._sweep()

    def close(self) -> None:
        """End the timer."""
        self.connections.close()
