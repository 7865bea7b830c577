"""One HTTP connection: uvicorn's, with a deadline for all that its client may be slow at, and bounds on what it holds.

One sweep a second looks at all connections; nothing is timed by request. What arrives in one turn of the event loop is
parsed together, and then taken together: code that has just run is in the processor's caches, and what the kernel does
for each read would push it out (2 to 3 us of a request).
"""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, parse_url
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from collector.errors import BadRequest, HeadersTooLarge, Overloaded, Rejected, SlowHeaders, TooLarge
from collector.ingest.answer import Answer, refusal_answer
from collector.ingest.cycle import Cycle
from collector.ingest.head import Head
from collector.ingest.send import as_bytes, write_answer
from collector.ingest.target import Face
from collector.notices import Notices
from collector.problems import refusal_of
from collector.settings import Limits

Begin = Callable[[Head, bytes, Callable[[Answer], None]], bool]
STATE: Final = "tracklog.connections"
"""Where the lifespan's state holds the `Connections`."""
_SWEEP_SECONDS: Final = 1.0
_HEADER_BYTES: Final = 32 << 10
"""What all headers together may have beside the URL."""
_MOST_HEADERS: Final = 256
"""Short ones take fifty times their bytes, for as long as a client takes to send them all."""
_PIECE_BYTES: Final = 4096
"""So much is parsed at a time. Most requests are smaller, and come alone."""
_BODY_PIECE_BYTES: Final = 64 << 10
"""Of a body whose length is known."""
_PIECES_A_TURN: Final = 8
"""Bounds the chunks that are parsed in one turn of the event loop to 5,000, some 3 ms."""
_MOST_WAITING: Final = 64
"""Requests that wait for those before them: more in one piece are too short to carry an event."""
_NOTHING: Final = memoryview(b"")
_DROPPED: Final[Any] = deque(maxlen=0)
_FRAMING: Final = (b"content-length", b"transfer-encoding")

logger = logging.getLogger(__name__)


class Connections:
    """All connections of a worker. Create it inside the event loop."""

    def __init__(self, limits: Limits, begins: Mapping[bytes, Begin], notices: Notices) -> None:
        """`begins` are, by path, what takes plain requests without an application."""
        self.notices = notices
        self.limits = limits
        self.begins = begins
        self.open: set[Connection] = set()
        self.held_bytes = 0
        self._arrived: list[Connection] = []
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(_SWEEP_SECONDS, self._sweep)

    def close(self) -> None:
        """End the sweep."""
        self._timer.cancel()

    def take_soon(self, connection: "Connection") -> None:
        """Have a connection take what arrived, behind all that arrives in this turn."""
        if not self._arrived:
            self._loop.call_soon(self.take_arrived)
        self._arrived.append(connection)

    def take_arrived(self) -> None:
        """Have all connections take what arrived. Who ends one calls this first: what came before the end counts."""
        arrived, self._arrived = self._arrived, []
        for step in (Connection.parse_arrived, Connection.start_whole):
            for connection in arrived:
                try:
                    step(connection)
                except Exception:
                    logger.exception("a request was not taken")
                    connection.transport.abort()

    def _sweep(self) -> None:
        self._timer = self._loop.call_later(_SWEEP_SECONDS, self._sweep)
        self.take_arrived()
        now = self._loop.time()
        for connection in [each for each in self.open if each.is_late(now)]:
            connection.expire()


class _Flow(FlowControl):
    """Reads no more, whoever asks for it, while something is held that is to be parsed first."""

    is_held = False

    def resume_reading(self) -> None:
        if not self.is_held:
            super().resume_reading()


# What is awaited; no Enum, whose members cost 40 ns a look-up, six times a request.
_IDLE: Final = 0  # a request
_HEAD: Final = 1  # the rest of its headers
_BODY: Final = 2  # the rest of its body
_WHOLE: Final = 3  # nothing: it ended in the bytes at hand


class Connection(HttpToolsProtocol):
    """A connection; by its `deadline` what it awaits is due: a request, its headers or body, that answers are read."""

    flow: _Flow
    cycle: Cycle
    pipeline: deque[Cycle]  # type: ignore[assignment]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._all: Connections = self.app_state[STATE]
        self._limits = self._all.limits
        self._most_head_bytes = self._limits.url_bytes + _HEADER_BYTES
        self._most_bytes = self._most_head_bytes + self._limits.body_bytes
        self._head_bytes = 0
        self._data_bytes = 0
        self._phase = self._timed = _IDLE
        self._is_declining = False
        self.headers = []
        self._peer: str | None = None
        self._unanswered: deque[Cycle] = deque()
        self._unstarted: Cycle | None = None
        self._arrived = b""
        self._held = _NOTHING
        self._held_bytes = 0
        self.deadline = math.inf

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = _Flow(transport)
        self._peer = self.client[0] if self.client else None
        self._wait_for_more(0)
        if len(self._all.open) < self._limits.connections:
            self._all.open.add(self)
        else:
            self._all.notices.shed("too many connections")
            self._refuse(Overloaded("too many connections"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.open.discard(self)
        self._let_go()
        for cycle in self._unanswered:  # uvicorn tells the last one only, and the others would write to nobody
            cycle.disconnected = True
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._arrived:
            self._all.take_arrived()
        if self.parser is None or self.transport.is_closing():
            return
        if len(data) <= _PIECE_BYTES and not self.pipeline:
            self._arrived = data
            self._all.take_soon(self)
        else:
            self._hold(data)

    def eof_received(self) -> None:
        self._all.take_arrived()

    def shutdown(self) -> None:
        self._all.take_arrived()
        super().shutdown()

    def parse_arrived(self) -> None:
        """Parse what arrived, unless the connection is closing."""
        data, self._arrived = self._arrived, b""
        if not self.transport.is_closing():
            self._take(data)

    def start_whole(self) -> None:
        """Start the request that the parser has found, if it has."""
        if self._unstarted:
            self._start(self._unstarted)

    def _take(self, data: bytes | memoryview) -> None:
        self._data_bytes = len(data)
        try:
            try:
                self.parser.feed_data(data)
            except HttpParserUpgrade as offer:
                self._decline(data, offer)
        except HttpParserError as error:
            reason = error.__context__
            self._refuse(reason if isinstance(reason, HeadersTooLarge) else BadRequest("this is no HTTP request"))
        if self._phase is _WHOLE:  # nearly always, in one piece: nothing is timed
            self._phase = _IDLE
            self.deadline = math.inf
            if self.cycle.response_complete:
                self._keep_alive()
        else:
            self._wait_for_more(len(data))

    def _start(self, cycle: Cycle) -> None:
        self._unstarted = None
        begin = self._all.begins.get(cycle.head.path)
        if (
            begin is None
            or cycle.more_body
            or cycle.is_prepared
            or self.flow.write_paused
            or not begin(cycle.head, cycle.body, self._respond)
        ):
            cycle.prepare()
            self._start_asgi_task(cycle, self.app)

    def _respond(self, answer: Answer) -> None:
        cycle = self._unanswered[0]
        if not cycle.disconnected:
            write_answer(cycle, answer)

    def on_message_begin(self) -> None:
        if not self._is_declining:
            if len(self.pipeline) > _MOST_WAITING:
                raise BadRequest("too many requests at a time")
            self.url = b""
            self.headers = []
            self.expect_100_continue = False
            # behind another request in these bytes, they count for that one
            self._head_bytes = -self._data_bytes if self._phase is _WHOLE else 0
            self._phase = _HEAD

    def on_headers_complete(self) -> None:
        """Instead of uvicorn's, which makes what few requests need."""
        if self._is_declining:
            return
        if len(self.headers) > _MOST_HEADERS:
            raise _too_large()
        most = self._most_head_bytes
        if (self._head_bytes > 0 or self._data_bytes > most) and _length(self.url, self.headers) > most:
            raise _too_large()
        earlier, parser = self.cycle, self.parser
        path, query = _split(self.url)
        version = parser.get_http_version()
        self.cycle = cycle = Cycle(
            self,
            Head(parser.get_method().decode(), path, query, self.headers, self._peer, self.scheme or "http"),
            version,
            keep_alive=version != "1.0" and parser.should_keep_alive(),
            waits_for_100=self.expect_100_continue,
        )
        if earlier is None or earlier.response_complete:
            self._unstarted = cycle  # most requests end in the bytes at hand: it starts behind them
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft(cycle)
        self._unanswered.append(cycle)
        self.headers = _DROPPED  # trailers of a chunked body are nothing that a request may be told by
        self._phase = _BODY

    def on_chunk_header(self) -> None:
        """A chunk begins: it is no longer than a body may be, and nor are the trailers behind the last one."""
        self._head_bytes = -self._data_bytes

    def on_body(self, body: bytes) -> None:
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.body += body
            if cycle.is_prepared:  # else nobody waits for it
                cycle.message_event.set()
            if len(cycle.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            cycle = self.cycle
            cycle.more_body = False
            if cycle.is_prepared:
                cycle.message_event.set()
            self._phase = _WHOLE
            self._timed = _IDLE

    def on_response_complete(self) -> None:
        """As uvicorn does, but that the sweep and no timer ends a connection that is kept alive (1 us a request)."""
        self._unanswered.popleft()
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            if self.flow.read_paused:
                self.flow.resume_reading()
            if self.pipeline:
                self._start(self.pipeline.pop())
            elif self._phase is _IDLE:
                self._keep_alive()
        if self._held and not self.pipeline:
            self._parse_held()

    def resume_writing(self) -> None:
        """The client reads again: what was awaited before is."""
        super().resume_writing()
        self.deadline = math.inf
        if self._phase is not _IDLE:
            self._timed = _IDLE
            self._wait_for_more(0)
        elif self.cycle.response_complete:
            self._keep_alive()

    def is_late(self, now: float) -> bool:
        """Whether its deadline has passed. Who does not read its answers has no longer than for a body."""
        if self.flow.write_paused or self.transport.is_closing():
            self.deadline = min(self.deadline, now + self._limits.body_seconds)
        return self.deadline < now

    def expire(self) -> None:
        """Answer, and close, a connection that is late."""
        self.deadline = math.inf
        cycle = self.cycle
        if self.transport.is_closing() or self.flow.write_paused:
            self.transport.abort()
        elif self._held:  # the client has sent what is awaited
            self.deadline = self.loop.time() + self._limits.body_seconds
        elif self._phase is _HEAD:
            self._refuse(SlowHeaders("the headers did not arrive in time"))
        elif self._phase is _BODY and not cycle.response_started:
            cycle.expire()  # the application waits for the body: it answers
        else:
            self.transport.close()

    def _wait_for_more(self, arrived: int) -> None:
        """Give what is not whole yet its deadline, once for each phase, and bound what the parser may hold of it."""
        if self._phase is _IDLE:  # a new connection, or empty lines between requests
            self._phase = _HEAD
        if self._phase is not self._timed:
            self._timed = self._phase
            seconds = self._limits.header_seconds if self._phase is _HEAD else self._limits.body_seconds
            self.deadline = self.loop.time() + seconds
        self._head_bytes += arrived
        most = self._most_head_bytes if self._phase is _HEAD else self._most_bytes
        if len(self.headers) > _MOST_HEADERS or (self._head_bytes > most and self._phase is _HEAD):
            self._refuse(_too_large())
        elif self._head_bytes > most:
            self._refuse(TooLarge(f"the body is over the limit of {self._limits.body_bytes} bytes"))

    def _keep_alive(self) -> None:
        self.deadline = self.loop.time() + self.timeout_keep_alive

    def _hold(self, data: bytes) -> None:
        self._held = memoryview(data)
        self._held_bytes = len(data)
        self._all.held_bytes += len(data)
        if self._all.held_bytes > self._limits.in_flight_bytes:
            self._all.notices.shed("too many bytes are sent ahead")
            self.transport.abort()
        else:
            self._parse_held()

    def _let_go(self) -> None:
        self._all.held_bytes -= self._held_bytes
        self._held, self._held_bytes = _NOTHING, 0

    def _parse_held(self) -> None:
        """Parse in pieces, until a request waits for the one before it: then what is behind it waits too.

        Otherwise those who send ahead would be parsed all at once, while everybody waits, and faster than answered.
        """
        for _ in range(_PIECES_A_TURN):
            if not self._held or self.pipeline or self.transport.is_closing():
                break
            length = self._piece_bytes()
            piece, self._held = self._held[:length], self._held[length:]
            self._take(piece)
            if self._unstarted is not self.cycle or self._phase is not _BODY or not self._held:
                self.start_whole()  # else it may be whole with the next piece
        else:
            if self._held:  # chunks of a byte each: others have their turn
                self.loop.call_soon(self._parse_held)
        self.flow.is_held = bool(self._held)
        if self.transport.is_closing():
            self._let_go()
        elif self._held:
            self.flow.pause_reading()
        else:
            self._let_go()
            if not self.pipeline:
                self.flow.resume_reading()

    def _piece_bytes(self) -> int:
        """How much to parse at a time: of a body with a length what is left of it, in which no request begins."""
        cycle = self.cycle
        if self._phase is not _BODY or cycle.is_prepared:
            return _PIECE_BYTES
        announced = next((int(value) for name, value in cycle.head.headers if name == b"content-length"), 0)
        return max(_PIECE_BYTES, min(announced - len(cycle.body), _BODY_PIECE_BYTES))

    def _decline(self, data: bytes | memoryview, offer: HttpParserUpgrade) -> None:
        """Stay with HTTP/1.1 where a client offers another protocol, as Java's does with every request.

        The parser takes the body for that protocol's, so another one, which has not seen the offer, reads it.
        """
        framing = [b"%b: %b\r\n" % header for header in self.cycle.head.headers if header[0] in _FRAMING]
        self.parser = HttpRequestParser(self)
        self._is_declining = True
        self.parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % b"".join(framing))
        self._is_declining = False
        if rest := data[offer.args[0] :]:
            try:
                self.parser.feed_data(rest)
            except HttpParserUpgrade as another:
                self._decline(rest, another)

    def _refuse(self, error: Rejected | Overloaded) -> None:
        """Answer what no application will, and close, behind the answers to requests that are whole."""
        whole = [cycle for cycle in self._unanswered if not cycle.more_body]
        if whole:
            whole[-1].keep_alive = False
            return
        is_answered = self._phase is _BODY and not self._unanswered
        if not is_answered and not any(cycle.response_started for cycle in self._unanswered):
            answer = refusal_answer(Face.JSON, refusal_of(error))
            self.transport.write(as_bytes(answer, closes=True, has_body=True))
        self.transport.close()


def _split(url: bytes) -> tuple[bytes, bytes]:
    """The path and the query of what stands in the request line. Raises HttpParserError."""
    if url[:1] == b"/" and b"#" not in url:  # what `parse_url` would give, in a fifth of the time
        path, _, query = url.partition(b"?")
        return path, query
    parsed = parse_url(url)
    if parsed.path is None:
        raise BadRequest("the request has no path")
    return parsed.path, parsed.query or b""


def _too_large() -> HeadersTooLarge:
    return HeadersTooLarge("the headers are over their limit")


def _length(url: bytes, headers: list[tuple[bytes, bytes]]) -> int:
    return len(url) + sum(len(name) + len(value) for name, value in headers)
