"""The admin process: serves the application of the admin address on the supervisor's socket, until that lets it go.

The supervisor sends the state of the node at each change. When the supervisor has gone, so has this process.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Final, cast

import msgspec
import uvicorn
import uvloop
from starlette.types import ASGIApp

from collector.ops.console.watch import Watch
from collector.ops.counters import CounterBlock
from collector.process_log.of_libraries import Uncaught
from collector.process_log.output import set_up
from collector.server.admin_app import Admin, create_admin_app, watch_of
from collector.server.admin_connection import AdminConnection, AdminConnections
from collector.server.node_state import NodeState
from collector.settings import Settings

MAX_STATE_BYTES: Final = 1 << 20
_GOODBYE_SECONDS: Final = 0.1
"""For the last words of streams to leave."""


def run(
    settings: Settings,
    config: str,
    listener: socket.socket,
    counters: tuple[CounterBlock, ...],
    states: socket.socket,
) -> None:
    """Serve until the supervisor is gone or kills this process. `states` gets each state of the node as a packet."""
    set_up(settings.process_log.format, settings.process_log.level)
    node = _LastState(states)
    admin = Admin(settings, os.path.abspath(config), node.get, counters)
    watch = watch_of(admin)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(create_admin_app(admin, watch), listener, node, watch))


def admin_server(connections: AdminConnections) -> uvicorn.Server:
    """The server of the admin address: uvicorn accepts connections, and its settings for HTTP have no effect."""
    protocol = cast(type[asyncio.Protocol], partial(AdminConnection, connections))  # uvicorn only calls it
    config = uvicorn.Config(connections.app, http=protocol, ws="none", lifespan="off", log_config=None)
    return uvicorn.Server(config)


class _LastState:
    """The last state that the supervisor sent."""

    def __init__(self, states: socket.socket) -> None:
        self._states = states
        self.on_end: Callable[[], None] = partial(os._exit, 0)
        """Called when the supervisor lets this process go, or is gone: the next one needs the address."""
        states.setblocking(True)
        self._state = NodeState()
        self.receive()  # the supervisor sends the first one at once
        states.setblocking(False)

    def get(self) -> NodeState:
        """The state of the node."""
        return self._state

    def fileno(self) -> int:
        """The descriptor that is readable when there is another state."""
        return self._states.fileno()

    def receive(self) -> None:
        """Take the next state, or the end."""
        if packet := self._states.recv(MAX_STATE_BYTES):
            self._state = msgspec.json.decode(packet, type=NodeState)
        else:
            self.on_end()


async def _serve(app: ASGIApp, listener: socket.socket, node: _LastState, watch: Watch) -> None:
    loop = asyncio.get_running_loop()
    connections = AdminConnections(app, listener.getsockname()[:2])

    def end() -> None:
        loop.remove_reader(node.fileno())
        connections.end_streams()
        loop.call_later(_GOODBYE_SECONDS, os._exit, 0)  # a thread that hangs would hold up a graceful end

    node.on_end = end
    loop.add_reader(node.fileno(), node.receive)
    watching = asyncio.create_task(watch.run())
    watching.add_done_callback(_log_bug)
    await admin_server(connections).serve(sockets=[listener])


def _log_bug(watching: asyncio.Task[None]) -> None:
    """Go on without the watch: probes need an answer all the same, and the console shows how old its samples are."""
    if not watching.cancelled() and (error := watching.exception()) is not None:
        Uncaught().write(exc_info=error)
