"""All connections of a worker: what they share, what arrives on them in one turn, and their deadlines.

One sweep a second looks at all connections; nothing is timed by request. What arrives in one turn of the event loop is
parsed together, and then taken together: code that has just run is in the processor's caches, and what the kernel does
for each read would push it out (2 to 3 us of a request).
"""

import asyncio
import logging
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from collector.errors import Overloaded
from collector.http.in_flight import InFlight
from collector.http.response import Pending, Response
from collector.http.routes import Routes
from collector.ops.notices import Notices
from collector.settings import Limits

if TYPE_CHECKING:
    from collector.http.connection import Connection

STATE: Final = "tracklog.connections"
"""Where the lifespan's state holds the `Connections`."""
_SWEEP_SECONDS: Final = 1.0
_MOST_REFUSED: Final = 64
"""Connections over the limit that are told so. Beyond them, connections are cut without a word."""

logger = logging.getLogger(__name__)


class Connections:
    """All connections of a worker. Create it inside the event loop."""

    def __init__(
        self,
        limits: Limits,
        routes: Routes,
        *,
        in_flight: InFlight,
        notices: Notices,
        is_proxy: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """`is_proxy` tells addresses whose connections are those of many clients."""
        self.limits = limits
        self.routes = routes
        self.in_flight = in_flight
        self.notices = notices
        self._is_proxy = is_proxy
        self._open: set[Connection] = set()
        self._by_address: Counter[str] = Counter()
        self._refused: set[Connection] = set()
        self._idle: deque[Connection] = deque()
        """Those that were idle at the last sweep, the longest idle first."""
        self._idle_by_address: defaultdict[str, deque[Connection]] = defaultdict(deque)
        """The same by address, for those that had their share then."""
        self._arrived: list[Connection] = []
        self._block: asyncio.Future[None] | None = None
        self._waiting: list[tuple[Connection, Response]] = []
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(_SWEEP_SECONDS, self._sweep)

    def close(self) -> None:
        """End the sweep."""
        self._timer.cancel()

    def open(self, connection: "Connection") -> None:
        """Count a new connection. At a limit the longest idle one makes room for it, else the new one is refused."""
        address = connection.address
        is_over_share = (
            self._by_address[address] >= self.limits.connections_per_address
            and address != ""  # a UNIX socket has none
            and not self._is_proxy(address)
        )
        if is_over_share:
            has_room = self._evict(self._idle_by_address[address])
        else:
            has_room = len(self._open) < self.limits.connections or self._evict(self._idle)
        if has_room:
            self._open.add(connection)
            self._by_address[address] += 1
        else:
            self._refused.add(connection)
            self.notices.shed("too many connections of one address" if is_over_share else "too many connections")
            connection.turn_away(is_told=len(self._refused) <= _MOST_REFUSED)

    def discard(self, connection: "Connection") -> None:
        """Count a connection no longer. Idempotent."""
        self._refused.discard(connection)
        if connection in self._open:
            self._open.remove(connection)
            self._by_address[connection.address] -= 1
            if not self._by_address[connection.address]:
                del self._by_address[connection.address]

    def take_soon(self, connection: "Connection") -> None:
        """Take what arrived on a connection at the end of this turn, after all else that arrives in it."""
        if not self._arrived:
            self._loop.call_soon(self.take_arrived)
        self._arrived.append(connection)

    def take_arrived(self) -> None:
        """Take everything that arrived in this turn.

        Call it before closing a connection, so that requests already received are served.
        """
        arrived, self._arrived = self._arrived, []
        for connection in arrived:
            connection.parse_arrived()
        for connection in arrived:
            connection.serve()

    def wait(self, connection: "Connection", pending: Pending) -> None:
        """Have a connection respond once the future of its response is done. A block of the log has one for many."""
        if pending.response is None:
            pending.until.add_done_callback(partial(_respond, connection))
            return
        if pending.until is not self._block:
            self._block, self._waiting = pending.until, []  # type: ignore[assignment]
            pending.until.add_done_callback(partial(_respond_all, self._waiting))
        self._waiting.append((connection, pending.response))

    def _evict(self, idle: "deque[Connection]") -> bool:
        """Close the first of these connections that is still idle; False where none is.

        Drops those that are not until the next sweep: to look at 10,000 again for each new connection takes 0.5 ms.
        """
        while idle:
            connection = idle.popleft()
            if connection.is_idle and connection in self._open:
                connection.transport.abort()  # to close would wait for a client that does not read
                self.discard(connection)
                return True
        return False

    def _sweep(self) -> None:
        self._timer = self._loop.call_later(_SWEEP_SECONDS, self._sweep)
        self.take_arrived()
        now = self._loop.time()
        for connection in [each for each in (*self._open, *self._refused) if each.deadline.at < now]:
            connection.expire()
        idle = sorted((each for each in self._open if each.is_idle), key=lambda each: each.deadline.idle_since)
        self._idle = deque(idle)
        self._idle_by_address.clear()
        for connection in idle:
            if self._by_address[connection.address] >= self.limits.connections_per_address:
                self._idle_by_address[connection.address].append(connection)


def _respond_all(waiting: "list[tuple[Connection, Response]]", block: asyncio.Future[None]) -> None:
    """Respond to all whose events are in one block of the log, which is fsynced, or has failed."""
    error = block.exception()
    for connection, response in waiting:
        try:
            connection.finish(response if error is None else error)
        except Exception:
            logger.exception("a response was not sent")
    waiting.clear()  # the caller of `wait` holds it until the next block


def _respond(connection: "Connection", task: asyncio.Future[Response]) -> None:
    error = Overloaded("the work on the request was cancelled") if task.cancelled() else task.exception()
    connection.finish(error or task.result())
