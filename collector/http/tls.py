"""A connection that begins with a TLS handshake, for uvicorn's `Config(http=…)`.

    accepted --counted in `Connections`--> SHAKING --> `Connection`, READING
                                              \\---> closed: failed, or longer than `header_seconds`

uvicorn and the event loop could shake hands themselves, but they tell of a connection only afterwards: clients that
never shake hands would use up all file descriptors, and the log would find none.
"""

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from typing import Any, Final, cast

from collector.http.connection import Connection

_CLOSE_SECONDS: Final = 1.0
"""How long an idle client has at a stop to confirm the end of TLS. Clients that pool connections never do."""


class TlsConnection(Connection):
    """A connection over TLS. It is counted, evicted and timed from the accept on, as one without TLS is."""

    scheme = "https"

    def __init__(
        self, context: Callable[[], ssl.SSLContext], server_state: Any, app_state: dict[str, Any], **_: Any
    ) -> None:
        """`context` gives the context for new handshakes; the other arguments are those of `Connection`."""
        super().__init__(server_state, app_state)
        self._context = context
        self._is_shaking = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self.transport.is_closing():
            return  # turned away
        loop, limits = asyncio.get_running_loop(), self._all.limits
        self._handshake: Coroutine[Any, Any, asyncio.Transport | None] = loop.start_tls(
            self.transport,
            self,
            self._context(),
            server_side=True,
            ssl_handshake_timeout=limits.header_seconds,
            ssl_shutdown_timeout=limits.body_seconds,
        )
        # Run it up to its future here. A task would begin after the client's first bytes were read, and lose them.
        waiter: asyncio.Future[None] = self._handshake.send(None)
        waiter.add_done_callback(self._end_handshake)

    def turn_away(self, *, responds: bool) -> None:  # noqa: ARG002
        """Reset the connection: a 503 would cost a handshake."""
        self.transport.abort()

    def expire(self) -> None:
        """End a handshake, a request or a connection that took too long."""
        if self._is_shaking:
            self.transport.abort()
        else:
            super().expire()

    def _close_if_idle(self) -> None:
        super()._close_if_idle()
        if self.transport.is_closing():
            asyncio.get_running_loop().call_later(_CLOSE_SECONDS, self.transport.abort)

    def _end_handshake(self, _: asyncio.Future[None]) -> None:
        """Go on over TLS, before the client's first bytes are read. Without TLS, the connection is lost."""
        self._is_shaking = False
        accepted = self.transport
        try:
            self._handshake.send(None)
        except StopIteration as end:
            self.transport = cast(asyncio.Transport, end.value)
        except OSError:  # anything but TLS, or a client that has left: no client shall fill the process log
            accepted.abort()
        if accepted.is_closing():  # perhaps by us; uvloop makes a transport then, too
            self.transport.abort()
            self.connection_lost(None)
