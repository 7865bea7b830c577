"""One HTTP connection, for uvicorn's `Config(http=…)`: transport, back-pressure, pipelining and deadlines.

    READING  --malformed bytes, or a response that ends the connection-->  closed, or DRAINING
    DRAINING --end of input, or a deadline-->                              closed

READING: bytes become exchanges in a queue. The first one is taken when its request is whole, the next one after its
response. While one waits, the socket is not read. DRAINING: the last response is written, and input is dropped, since
to close with unread input would reset the connection before the client sees it.
"""

import asyncio
from typing import Any, ClassVar, Final, cast

from collector.http.connections import STATE, Connections
from collector.http.deadline import Deadline
from collector.http.parser import IDLE, Parser
from collector.http.pipeline import Pipeline
from collector.http.response import Response, encode
from collector.http.sent_ahead import PIECE_BYTES, SentAhead
from collector.http.status import UNSERVED
from collector.process_log.of_requests import ConnectionBug

_PIECES_A_TURN: Final = 2
"""Limits a connection to 1,300 chunks in a turn of the event loop, 0.7 ms: several may send such at a time."""
_DRAINED_BYTES: Final = 32 << 20
"""Input to drop after the last response. If a client sends more, its connection is reset."""
_LINGER_SECONDS: Final = 0.25
"""At a stop, a request may be on its way on a connection that is idle: to close at once would reset it."""


class Connection(asyncio.Protocol):
    """A connection. If it makes no progress until its `deadline`, it is ended."""

    scheme: ClassVar = "http"

    def __init__(self, server_state: Any, app_state: dict[str, Any], **_: Any) -> None:
        """`app_state` is the lifespan's; `server_state.connections` is the set that uvicorn shuts down at a stop."""
        self.address = ""
        self._server_connections: set[Any] = server_state.connections
        self._all: Connections = app_state[STATE]
        self.deadline = Deadline(self._all.limits)
        self._arrived = b""
        self._ahead = SentAhead(self._all.in_flight)
        self._is_busy = False  # whether the first exchange was taken and waits for its response
        self._is_reading = True  # whether the socket is read: nothing is sent ahead, no request waits for another
        self._is_stopping = self._is_draining = False
        self._drained_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        client = (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) else None
        self.address = client[0] if client else ""
        self._parser = Parser(self._all.limits.url_bytes, client, self.scheme)
        self._pipeline = Pipeline(self._parser, self._all.routes, self._all.in_flight, self._all.meter)
        self._exchanges = self._pipeline.exchanges
        self._server_connections.add(self)
        self._all.open(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._server_connections.discard(self)
        self._all.discard(self)
        self._pipeline.leave()
        self._ahead.drop()
        self._parser.stop()

    def data_received(self, data: bytes) -> None:
        if self._arrived:
            self._all.take_arrived()
        if self._is_reading and not self._is_draining and len(data) <= PIECE_BYTES:
            self._arrived = data
            self._all.take_soon(self)
        elif self._is_over:
            self._drained_bytes += len(data)
            if self._drained_bytes > _DRAINED_BYTES:
                self.transport.abort()
        elif self._ahead.add(data):
            self._parse_ahead()
        else:
            self._all.notices.shed("too many bytes are arriving at once")
            self._pipeline.fail(UNSERVED)
            self.serve()

    def eof_received(self) -> bool:
        self._all.take_arrived()
        self.deadline.extend()  # until the client has read the responses of before
        return False  # to stay for the others would let clients that leave fill `limits.connections`

    def pause_writing(self) -> None:
        """The client does not read: take no further request. It has as much time to read as for sending a body."""
        self.deadline.pause_writing()

    def resume_writing(self) -> None:
        """The client resumed reading: restore the deadline from before the pause."""
        if not self._is_over:
            self.deadline.resume_writing(self._parser.phase, has_responded=not self._exchanges)
            self._go_on()

    def shutdown(self) -> None:
        """Close after the responses to all requests that were sent. uvicorn calls it at a stop."""
        self._all.take_arrived()
        self._is_stopping = True
        asyncio.get_running_loop().call_later(_LINGER_SECONDS, self._close_if_idle)

    @property
    def is_idle(self) -> bool:
        """Whether the connection holds no part of a request and owes no response."""
        return not (self._exchanges or self._arrived or self._ahead or self._is_over) and self._parser.phase is IDLE

    def turn_away(self, *, responds: bool) -> None:
        """Refuse a connection over the limit: with a 503 if `responds`, else by a reset."""
        if responds:
            self._pipeline.fail(UNSERVED)
            self.serve()
        else:
            self.transport.abort()

    def parse_arrived(self) -> None:
        """Parse the bytes received in this turn."""
        data, self._arrived = self._arrived, b""
        if data and not (self._is_draining or self.transport.is_closing()):
            self._parse(data)

    def serve_arrived(self) -> None:
        """Serve the requests of this turn, and stop reading if a request waits for the one before it."""
        self.serve()
        if len(self._exchanges) > 1:
            self._resume_or_pause()

    def serve(self) -> None:
        """Take the first exchange if it is ready, and the next ones while each response is ready at once."""
        try:
            while self._exchanges and not (self._is_busy or self.deadline.is_write_paused or self._is_over):
                exchange = self._exchanges[0]
                if not (exchange.is_whole or exchange.is_early):
                    if invitation := exchange.invite():
                        self.transport.write(invitation)
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
        """Respond to the exchange that was taken. `outcome` is an exception if the work on it failed."""
        if not self._exchanges:
            return  # the client has disconnected
        self._is_busy = False
        self._respond(outcome if type(outcome) is Response else self._exchanges[0].refuse(outcome))
        if self._exchanges or not self._is_reading:
            self._go_on()

    def expire(self) -> None:
        """End a request or a connection that took too long, with a response if one is due."""
        phase = self.deadline.phase
        if self._is_over or self.deadline.is_write_paused:
            self.transport.abort()
        elif not self._is_reading:  # the client may have sent the awaited bytes
            self.deadline.extend()
        elif phase is IDLE:
            self.transport.close()
        else:
            self._pipeline.expire(phase)
            self.serve()

    @property
    def _is_over(self) -> bool:
        """Whether no further requests are read."""
        return self._is_draining or self.transport.is_closing()

    def _parse(self, data: bytes | memoryview) -> None:
        waiting = len(self._exchanges)
        try:
            self._pipeline.feed(data)
        except Exception:
            self._end_after_a_bug()
        if len(self._exchanges) > waiting:
            self.deadline.phase = IDLE  # a new request: the deadline was that of the one before
        self.deadline.time(self._parser.phase, has_responded=not self._exchanges)

    def _respond(self, response: Response) -> None:
        exchange = self._exchanges.popleft()
        if exchange.held_bytes or exchange.parts:
            exchange.release()
        if self.transport.is_closing():
            return
        self._all.meter.count(exchange.head.path, response.status, exchange.whole_at)
        closes = not (exchange.head.keep_alive and exchange.is_whole) or (self._is_stopping and not self._exchanges)
        self.transport.write(encode(response, closes=closes, has_body=exchange.head.method != "HEAD"))
        if closes:
            self._close()
        elif not self._exchanges and self._parser.phase is IDLE:
            self.deadline.await_request()

    def _close_if_idle(self) -> None:
        self._all.take_arrived()
        if self.is_idle:  # a request of which a part has arrived still gets its response, which closes
            self.transport.close()

    def _close(self) -> None:
        """Close, or drain if the client may still be sending."""
        self._pipeline.leave()
        self._is_draining = self._parser.phase is not IDLE or bool(self._ahead)
        self._ahead.drop()
        self.deadline.extend()
        if self._is_draining:
            self._resume_or_pause()
            if self.transport.can_write_eof():
                self.transport.write_eof()
        else:
            self.transport.close()

    def _go_on(self) -> None:
        """Serve the requests that waited for an earlier response, or for the client to read."""
        self.serve()
        self._parse_ahead()

    def _parse_ahead(self) -> None:
        """Parse in pieces, until a request waits for the one before it; then the bytes after it wait too.

        Otherwise all that a client sent ahead would be parsed in one turn, while the other connections wait.
        """
        self._all.meter.tick()
        for _ in range(_PIECES_A_TURN):
            if not self._ahead or self._pipeline.has_waiting or self._is_over:
                break
            self._parse(self._ahead.take(self._pipeline.missing_bytes))
            self.serve()
        else:
            if self._ahead:  # chunks of one byte: let the other connections run
                asyncio.get_running_loop().call_soon(self._parse_ahead)
        if self._is_over:
            self._ahead.drop()
        self._resume_or_pause()

    def _resume_or_pause(self) -> None:
        """Read the socket, unless bytes wait to be parsed or a request waits for the one before it."""
        is_reading = self._is_draining or not (self._ahead or self._pipeline.has_waiting)
        if is_reading is not self._is_reading and not self.transport.is_closing():
            self._is_reading = is_reading
            (self.transport.resume_reading if is_reading else self.transport.pause_reading)()

    def _end_after_a_bug(self) -> None:
        ConnectionBug().write(exc_info=True)
        self.transport.abort()
