"""The admin process: uvicorn serves the application of the admin address on the supervisor's socket.

The supervisor sends the state of the node at each change. When the supervisor has gone, so has this process.
"""

import asyncio
import os
import socket
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


def admin_server(app: ASGIApp, listener: socket.socket) -> uvicorn.Server:
    """The server of an admin application, to serve on `listener`. Create it inside the event loop."""
    connections = AdminConnections(app, listener.getsockname()[:2])
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=cast(type[asyncio.Protocol], partial(AdminConnection, connections)),  # uvicorn only calls it
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
    )


class _LastState:
    """The last state that the supervisor sent."""

    def __init__(self, states: socket.socket) -> None:
        self._states = states
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
        """Take the next state. Ends this process if the supervisor is gone: its successor needs the address."""
        packet = self._states.recv(MAX_STATE_BYTES)
        if not packet:
            os._exit(0)  # nothing here is worth a graceful end
        self._state = msgspec.json.decode(packet, type=NodeState)


async def _serve(app: ASGIApp, listener: socket.socket, node: _LastState, watch: Watch) -> None:
    asyncio.get_running_loop().add_reader(node.fileno(), node.receive)
    watching = asyncio.create_task(watch.run())
    watching.add_done_callback(_log_bug)
    await admin_server(app, listener).serve(sockets=[listener])
    watching.cancel()


def _log_bug(watching: asyncio.Task[None]) -> None:
    """Go on without the watch: probes need an answer all the same, and the console shows how old its samples are."""
    if not watching.cancelled() and (error := watching.exception()) is not None:
        Uncaught().write(exc_info=error)
