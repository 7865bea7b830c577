"""The requests of a connection in order: bytes to exchanges, without a transport.

    feed(bytes)  ->  exchanges: [taken, complete, complete, … , arriving]

Only the first exchange is taken; the others wait, because responses keep the order of requests.
"""

from collections import deque
from typing import Final

from collector.errors import BadRequest, Refusal, Rejected, SlowBody, SlowHeaders
from collector.http.exchange import Exchange
from collector.http.in_flight import InFlight
from collector.http.meter import Meter
from collector.http.parser import BODY, END, HEAD, IDLE, Parser
from collector.http.request import RequestHead
from collector.http.response import json_response
from collector.http.routes import Routes

_MOST_WAITING: Final = 128
"""Requests that wait for the ones before them. More than this in one piece are too short to carry an event."""
_SLOW_HEADERS: Final = SlowHeaders("the headers did not arrive in time").refusal
_TOO_MANY: Final = BadRequest("too many requests at a time").refusal


class Pipeline:
    """Requests without a response yet, in order; the last one may still be arriving."""

    def __init__(self, parser: Parser, routes: Routes, in_flight: InFlight, meter: Meter) -> None:
        self.exchanges: deque[Exchange] = deque()
        self.parser = parser
        self._routes = routes
        self._in_flight = in_flight
        self._meter = meter

    @property
    def has_waiting(self) -> bool:
        """Whether a request waits for the one before it."""
        return len(self.exchanges) > 1

    @property
    def missing_bytes(self) -> int | None:
        """Bytes of the body that have not arrived, 0 if their number is unknown; None between two requests."""
        if self.parser.phase is IDLE:
            return None
        if self.parser.phase is not BODY or not self.exchanges:
            return 0
        last = self.exchanges[-1]
        return (last.head.content_length or 0) - last.length

    def feed(self, data: bytes | memoryview) -> None:
        """Parse bytes into exchanges."""
        exchanges = self.exchanges
        for event in self.parser.feed(data):
            if event is END:
                exchanges[-1].is_whole = True
                exchanges[-1].whole_at = self._meter.now
            elif isinstance(event, bytes):
                exchanges[-1].receive(event)
            elif isinstance(event, RequestHead):
                exchange = Exchange(self._in_flight, event)
                exchange.admit(self._routes.find(event.path))
                exchanges.append(exchange)
            else:
                self.fail(event)
        if exchanges and not exchanges[-1].is_whole:
            exchanges[-1].await_body()
        if len(exchanges) > _MOST_WAITING:
            self.fail(_TOO_MANY)

    def fail(self, refusal: Refusal) -> None:
        """Refuse bytes that are not a request, after the responses to the requests before. Nothing more is parsed."""
        self.parser.stop()
        if self.exchanges and not self.exchanges[-1].is_whole:
            self.give_up(Rejected.of(refusal))
        else:
            exchange = Exchange(self._in_flight)
            exchange.respond_with(json_response(refusal))
            self.exchanges.append(exchange)

    def expire(self, phase: int) -> None:
        """Respond to a request whose head or body, by the parser's phase, did not arrive in time."""
        if phase is HEAD:
            self.fail(_SLOW_HEADERS)
        else:
            self.give_up(SlowBody("the body did not arrive in time"))

    def give_up(self, error: Exception) -> None:
        """Respond to the last request without waiting for the rest of it."""
        self.exchanges[-1].give_up(error)

    def leave(self) -> None:
        """The client has disconnected: drop all requests."""
        for exchange in self.exchanges:
            exchange.leave()
        self.exchanges.clear()
