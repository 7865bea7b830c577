"""All connections of a worker: shared state, batching of the input of one turn, and deadlines.

One sweep a second checks all deadlines, so that no request needs a timer. All input of one turn of the event loop is
parsed, and then all its requests are taken: this keeps our code in the processor's caches, from which the kernel's work
for each read would evict it (2 to 3 us of a request).
"""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from collector.errors import Overloaded
from collector.http.in_flight import InFlight
from collector.http.meter import Meter
from collector.http.response import Pending, Response
from collector.http.routes import Routes
from collector.ops.notices import Notices
from collector.process_log.of_requests import ResponseBug
from collector.settings import Limits

if TYPE_CHECKING:
    from collector.http.connection import Connection

STATE: Final = "tracklog.connections"
"""Key of the `Connections` in the lifespan's state."""
_SWEEP_SECONDS: Final = 1.0
_MOST_REFUSED: Final = 64
"""Connections over the limit that get a 503. Further ones are reset without a response."""


class Connections:
    """All connections of a worker. Create it inside the event loop."""

    def __init__(
        self,
        limits: Limits,
        routes: Routes,
        *,
        in_flight: InFlight,
        notices: Notices,
        meter: Meter,
        is_proxy: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """`is_proxy` tells whether an address is a proxy's, whose connections serve many clients."""
        self.limits = limits
        self.routes = routes
        self.in_flight = in_flight
        self.notices = notices
        self.meter = meter
        self._is_proxy = is_proxy
        self._open: set[Connection] = set()
        self._by_address: Counter[str] = Counter()
        self._refused: set[Connection] = set()
        self._idle: deque[Connection] = deque()
        """Connections that were idle at the last sweep, the longest idle first."""
        self._idle_by_address: defaultdict[str, deque[Connection]] = defaultdict(deque)
        """The same, of addresses that have their share."""
        self._arrived: list[Connection] = []
        self._block: asyncio.Future[Any] | None = None
        self._waiting: list[tuple[Connection, Response, bool]] = []
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(_SWEEP_SECONDS, self._sweep)

    def __len__(self) -> int:
        """The number of open connections."""
        return len(self._open)

    def close(self) -> None:
        """End the sweep."""
        self._timer.cancel()

    def open(self, connection: "Connection") -> None:
        """Add a new connection. At a limit, close the longest idle one; if none is idle, refuse the new one."""
        address = connection.address
        is_over_share = (
            self._by_address[address] >= self.limits.connections_per_address
            and address != ""  # a UNIX socket has none
            and not self._is_proxy(address)
        )
        if is_over_share:
            has_room = self.make_room(self._idle_by_address[address])
        else:
            has_room = len(self._open) < self.limits.connections or self.make_room(self._idle)
        if has_room:
            self._open.add(connection)
            self._by_address[address] += 1
        else:
            self._refused.add(connection)
            self.notices.shed("too many connections of one address" if is_over_share else "too many connections")
            connection.turn_away(responds=len(self._refused) <= _MOST_REFUSED)

    def make_room(self, idle: "deque[Connection]") -> bool:
        """Close the first of these connections that is still idle; False if there is none.

        Drops the others until the next sweep: to look at 10,000 again for each new connection takes 0.5 ms.
        """
        while idle:
            connection = idle.popleft()
            if connection.is_idle and connection in self._open:
                connection.transport.abort()  # to close would wait for a client that does not read
                self.discard(connection)
                return True
        return False

    def discard(self, connection: "Connection") -> None:
        """Remove a connection. Idempotent."""
        self._refused.discard(connection)
        if connection in self._open:
            self._open.remove(connection)
            self._by_address[connection.address] -= 1
            if not self._by_address[connection.address]:
                del self._by_address[connection.address]

    def take_soon(self, connection: "Connection") -> None:
        """Process the input of a connection at the end of this turn, together with that of the others."""
        if not self._arrived:
            self._loop.call_soon(self.take_arrived)
        self._arrived.append(connection)

    def take_arrived(self) -> None:
        """Process everything received in this turn.

        Call it before closing a connection, so that requests already received are served.
        """
        arrived, self._arrived = self._arrived, []
        self.meter.tick()
        for connection in arrived:
            connection.parse_arrived()
        self.meter.tick()
        for connection in arrived:
            connection.serve_arrived()

    def wait(self, connection: "Connection", pending: Pending) -> None:
        """Let a connection respond when the future of its response is done. Responses of one block share a future."""
        if pending.response is None:
            pending.until.add_done_callback(partial(self._respond, connection))
            return
        if pending.until is not self._block:
            self._block, self._waiting = pending.until, []
            pending.until.add_done_callback(partial(self._respond_all, self._waiting))
        self._waiting.append((connection, pending.response, pending.is_certain))

    def _respond_all(self, waiting: "list[tuple[Connection, Response, bool]]", block: asyncio.Future[None]) -> None:
        """Respond to all whose events are in one block of the log, which is fsynced, or has failed."""
        self.meter.tick()
        error = block.exception()
        for connection, response, is_certain in waiting:
            try:
                connection.finish(response if error is None or is_certain else error)
            except Exception:
                ResponseBug().write(exc_info=True)
        waiting.clear()  # the caller of `wait` holds it until the next block

    def _respond(self, connection: "Connection", task: asyncio.Future[Response]) -> None:
        self.meter.tick()
        error = Overloaded("the work on the request was cancelled") if task.cancelled() else task.exception()
        connection.finish(error or task.result())

    def _sweep(self) -> None:
        self._timer = self._loop.call_later(_SWEEP_SECONDS, self._sweep)
        self.take_arrived()
        now = self._loop.time()
        for connection in [late for late in (*self._open, *self._refused) if late.deadline.at < now]:
            connection.expire()
        idle = sorted(
            (connection for connection in self._open if connection.is_idle),
            key=lambda connection: connection.deadline.idle_since,
        )
        self._idle = deque(idle)
        self._idle_by_address.clear()
        for connection in idle:
            if self._by_address[connection.address] >= self.limits.connections_per_address:
                self._idle_by_address[connection.address].append(connection)
