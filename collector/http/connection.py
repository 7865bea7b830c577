"""One HTTP connection, for uvicorn's `Config(http=…)`: transport, back-pressure, pipelining and deadlines.

    READING  --a refusal of bytes, or a response that ends the connection-->  closed, or DRAINING
    DRAINING --end of input, or a deadline-->                                 closed

READING: bytes become exchanges, which wait in a queue. The first one is taken once it is whole; the next one when that
is answered. While a second one waits, nothing is read. DRAINING: the last response is written, and input is dropped:
to close with unread input would reset the connection, and a client that is still sending would not see the response.
"""

import asyncio
import logging
import math
from collections import deque
from typing import Any, Final

from collector.errors import BadRequest, Refusal, Rejected, SlowBody, SlowHeaders
from collector.http.connections import STATE, Connections
from collector.http.exchange import Exchange
from collector.http.parser import BODY, END, HEAD, IDLE, Parser
from collector.http.request import RequestHead
from collector.http.response import Response, encode, json_response
from collector.http.status import UNAVAILABLE

KEEP_ALIVE_SECONDS: Final = 75
"""Longer than load balancers keep idle connections, so that they are the ones to close."""
_PIECE_BYTES: Final = 4096
"""So much is parsed at a time. Most requests are smaller, and arrive alone."""
_BODY_PIECE_BYTES: Final = 64 << 10
"""Of a body whose length is known."""
_PIECES_A_TURN: Final = 8
"""Bounds the chunks that are parsed in one turn of the event loop to 5,000, some 3 ms."""
_DRAINED_BYTES: Final = 32 << 20
"""Input that is dropped after the last response. A client that sends more has its connection reset."""
_MOST_WAITING: Final = 64
"""Requests that wait for those before them: more in one piece are too short to carry an event."""
_NOTHING: Final = memoryview(b"")
_TOO_MANY: Final = BadRequest("too many requests at a time").refusal
_SLOW_HEADERS: Final = SlowHeaders("the headers did not arrive in time").refusal

logger = logging.getLogger(__name__)


class Connection(asyncio.Protocol):
    """A connection. By `deadline`, in seconds of the event loop's clock, what it waits for must have happened."""

    def __init__(self, server_state: Any, app_state: dict[str, Any], **_: Any) -> None:
        """`app_state` is the lifespan's; uvicorn's `server_state` has the set of `connections` that it shuts down."""
        self.deadline = math.inf
        self.idle_since = math.inf
        self.address = ""
        self._server_connections: set[Any] = server_state.connections
        self._all: Connections = app_state[STATE]
        self._limits = self._all.limits
        self._loop = asyncio.get_running_loop()
        self._exchanges: deque[Exchange] = deque()
        """Those that are not answered, in order; the last one may still arrive."""
        self._arrived = b""
        self._held = _NOTHING
        self._timed = HEAD
        """The phase that the deadline is of. A new connection has no longer for its first request than for a head."""
        self._is_busy = False
        """Whether the first exchange is taken, and waits for its response."""
        self._is_reading = True
        self._is_write_paused = False
        self._is_stopping = False
        self._is_draining = False
        self._drained_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        peer = transport.get_extra_info("peername")
        client = (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) else None
        self.address = client[0] if client else ""
        scheme = "https" if transport.get_extra_info("sslcontext") else "http"
        self._parser = Parser(self._limits.url_bytes, client, scheme)
        self.idle_since = self._loop.time()
        self.deadline = self.idle_since + self._limits.header_seconds
        self._server_connections.add(self)
        self._all.open(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._server_connections.discard(self)
        self._all.discard(self)
        for exchange in self._exchanges:
            exchange.leave()
        self._exchanges.clear()
        self._let_go()
        self._parser.stop()

    def data_received(self, data: bytes) -> None:
        if self._arrived:
            self._all.take_arrived()
        if self._is_over:
            self._drain(len(data))
            return
        if len(data) <= _PIECE_BYTES and not self._held and len(self._exchanges) < 2:  # noqa: PLR2004 - one waits
            self._arrived = data
            self._all.take_soon(self)
        else:
            self._hold(data)

    def eof_received(self) -> None:
        self._all.take_arrived()

    def pause_writing(self) -> None:
        """Take no further request while the client does not read. It has as long for it as a body has."""
        self._is_write_paused = True
        self.deadline = min(self.deadline, self._loop.time() + self._limits.body_seconds)

    def resume_writing(self) -> None:
        """The client has read: restore the deadline from before the pause."""
        self._is_write_paused = False
        if not self._is_over:
            self.deadline = math.inf
            self._timed = IDLE
            self._set_deadline()
            self._go_on()

    def shutdown(self) -> None:
        """Close once what arrived is answered. uvicorn calls it at a stop."""
        self._all.take_arrived()
        self._is_stopping = True
        if not self._exchanges and not self._is_draining:
            self.transport.close()

    @property
    def is_idle(self) -> bool:
        """Whether nothing of a request has arrived that is not answered."""
        return not (self._exchanges or self._arrived or self._held or self._is_over) and self._parser.phase is IDLE

    def turn_away(self, *, is_told: bool) -> None:
        """Refuse a connection that is one too many."""
        if is_told:
            self._fail(UNAVAILABLE)
            self.serve()
        else:
            self.transport.abort()

    def parse_arrived(self) -> None:
        """Parse what arrived in this turn."""
        data, self._arrived = self._arrived, b""
        if data and not self._is_over:
            self._parse(data)
            if len(self._exchanges) > 1:
                self._resume_or_pause()

    def serve(self) -> None:
        """Take the first exchange if it is ready, and those after it while they are answered at once."""
        try:
            while self._exchanges and not (self._is_busy or self._is_write_paused or self._is_over):
                exchange = self._exchanges[0]
                if not exchange.is_ready:
                    self._invite(exchange)
                    break
                outcome = exchange.take()
                if type(outcome) is Response:
                    self._respond(outcome)
                else:
                    self._is_busy = True
                    self._all.wait(self, outcome)
        except Exception:
            self._end_after_a_bug()

    def finish(self, outcome: Response | BaseException) -> None:
        """Respond to the exchange that was taken; an exception is what it waited for in vain."""
        if not self._exchanges:
            return  # the client has left
        self._is_busy = False
        self._respond(outcome if type(outcome) is Response else self._exchanges[0].refuse(outcome))
        if self._exchanges or self._held or not self._is_reading:
            self._go_on()

    def expire(self) -> None:
        """End what has lasted too long, with a response where one is due."""
        self.deadline = math.inf
        if self._is_over or self._is_write_paused:
            self.transport.abort()
        elif self._held:  # the client has sent what is awaited
            self.deadline = self._loop.time() + self._limits.body_seconds
        elif self._timed is HEAD:
            self._fail(_SLOW_HEADERS)
            self.serve()
        elif self._timed is BODY:
            self._exchanges[-1].give_up(SlowBody("the body did not arrive in time"))
            self.serve()
        else:
            self.transport.close()

    @property
    def _is_over(self) -> bool:
        """Whether no further request is read."""
        return self._is_draining or self.transport.is_closing()

    def _parse(self, data: bytes | memoryview) -> None:
        try:
            for event in self._parser.feed(data):
                if event is END:
                    self._exchanges[-1].is_whole = True
                    self._timed = IDLE
                elif isinstance(event, bytes):
                    self._exchanges[-1].receive(event)
                elif isinstance(event, RequestHead):
                    exchange = Exchange(self._all.in_flight, event)
                    exchange.admit(self._all.routes.find(event.path))
                    self._exchanges.append(exchange)
                else:
                    self._fail(event)
        except Exception:
            self._end_after_a_bug()
        if len(self._exchanges) > _MOST_WAITING:
            self._fail(_TOO_MANY)
        self._set_deadline()

    def _set_deadline(self) -> None:
        """Time what is not whole yet, once for each phase, so that no further drop renews it."""
        phase = self._parser.phase
        if self._is_write_paused:
            return  # the client has to read first
        if phase is IDLE:
            self.deadline = math.inf
            if not self._exchanges:
                self._await_request()
        elif phase is not self._timed:
            self._timed = phase
            seconds = self._limits.header_seconds if phase is HEAD else self._limits.body_seconds
            self.deadline = self._loop.time() + seconds

    def _await_request(self) -> None:
        self.idle_since = self._loop.time()
        if not self._is_write_paused:
            self.deadline = self.idle_since + KEEP_ALIVE_SECONDS

    def _respond(self, response: Response) -> None:
        exchange = self._exchanges.popleft()
        exchange.release()
        if self.transport.is_closing():
            return
        head = exchange.head
        closes = not (head.keep_alive and exchange.is_whole) or (self._is_stopping and not self._exchanges)
        self.transport.write(encode(response, closes=closes, has_body=head.method != "HEAD"))
        if closes:
            self._close()
        elif not self._exchanges and self._parser.phase is IDLE:
            self._await_request()

    def _invite(self, exchange: Exchange) -> None:
        if invitation := exchange.invite():
            self.transport.write(invitation)

    def _close(self) -> None:
        """Close, or drain where the client may still be sending."""
        for exchange in self._exchanges:
            exchange.leave()
        self._exchanges.clear()
        is_drained = self._parser.phase is IDLE and not self._held
        self._let_go()
        self.deadline = self._loop.time() + self._limits.body_seconds
        if is_drained:
            self.transport.close()
            return
        self._is_draining = True
        self._resume_or_pause()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _drain(self, length: int) -> None:
        self._drained_bytes += length
        if self._drained_bytes > _DRAINED_BYTES:
            self.transport.abort()

    def _fail(self, refusal: Refusal) -> None:
        """Refuse what is no request, after the responses to requests that are."""
        self._parser.stop()
        if self._exchanges and not self._exchanges[-1].is_whole:
            self._exchanges[-1].give_up(Rejected.of(refusal))
        else:
            exchange = Exchange(self._all.in_flight)
            exchange.answer_with(json_response(refusal))
            self._exchanges.append(exchange)

    def _go_on(self) -> None:
        """Serve what waited for a response that is sent now, or for the client to read."""
        self.serve()
        if self._held and len(self._exchanges) < 2:  # noqa: PLR2004 - one waits
            self._parse_held()
        else:
            self._resume_or_pause()

    def _hold(self, data: bytes) -> None:
        if not self._all.in_flight.reserve(len(data)):
            self._all.notices.shed("too many bytes are arriving at once")
            self._fail(UNAVAILABLE)
            self.serve()
            return
        self._held = memoryview(bytes(self._held) + data if self._held else data)
        self._parse_held()

    def _let_go(self) -> None:
        self._all.in_flight.release(len(self._held))
        self._held = _NOTHING

    def _parse_held(self) -> None:
        """Parse in pieces, until a request waits for the one before it: then what is behind it waits too.

        Otherwise those who send ahead would be parsed all at once, while everybody waits, and faster than answered.
        """
        for _ in range(_PIECES_A_TURN):
            if not self._held or len(self._exchanges) > 1 or self._is_over:
                break
            self._parse(self._next_piece())
            self.serve()
        else:
            if self._held:  # chunks of a byte each: others have their turn
                self._loop.call_soon(self._parse_held)
        if self._is_over:
            self._let_go()
        self._resume_or_pause()

    def _next_piece(self) -> memoryview:
        """What to parse next: of a body with a length what is left of it, in which no request begins."""
        length = _PIECE_BYTES
        if self._parser.phase is BODY and self._exchanges:
            last = self._exchanges[-1]
            length = max(length, min((last.head.content_length or 0) - last.length, _BODY_PIECE_BYTES))
        piece, self._held = self._held[:length], self._held[length:]
        self._all.in_flight.release(len(piece))
        return piece

    def _resume_or_pause(self) -> None:
        """Read unless something is held that is to be parsed first, or a request waits."""
        is_reading = self._is_draining or not (self._held or len(self._exchanges) > 1)
        if is_reading is not self._is_reading and not self.transport.is_closing():
            self._is_reading = is_reading
            if is_reading:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def _end_after_a_bug(self) -> None:
        logger.exception("a bug ends a connection")
        self.transport.abort()
