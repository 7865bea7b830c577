"""The worker process: uvicorn with our HTTP protocol serves the application on the supervisor's socket.

It reports to its supervisor when it is ready, and stops at SIGTERM, before which the supervisor sends the deadline.
Of uvicorn it uses only `Config`, `Server.serve` and `Server.started`.
"""

import asyncio
import socket
from functools import partial
from multiprocessing.connection import Connection
from typing import Final

import uvicorn
import uvloop

from collector.app import create_app
from collector.http.connection import Connection as HttpProtocol
from collector.process_log.output import set_up
from collector.server.budget import StopBudget, request_seconds
from collector.server.worker_process import BACKLOG, READY
from collector.settings import Settings

_STARTED_POLL_SECONDS: Final = 0.02


def run(settings: Settings, listener: socket.socket, supervisor: Connection) -> None:
    """Serve until SIGTERM, which ends this process. Exits with STARTUP_FAILURE if a person is needed."""
    set_up(settings.process_log.format, settings.process_log.level)
    server = uvicorn.Server(_config(settings, StopBudget(supervisor, settings.server.grace_seconds)))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(server, listener, supervisor))


def _config(settings: Settings, budget: StopBudget) -> uvicorn.Config:
    return uvicorn.Config(
        partial(create_app, settings, seconds_for_sinks=budget.seconds_for_sinks),
        factory=True,
        http=HttpProtocol,
        ws="none",
        lifespan="on",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=request_seconds(settings.server.grace_seconds),
    )


async def _serve(server: uvicorn.Server, listener: socket.socket, supervisor: Connection) -> None:
    """Serve. uvicorn handles SIGTERM, and raises it again at the end: a thread hanging in a sink can't delay that."""
    reporting = asyncio.create_task(_report_when_ready(server, supervisor))
    await server.serve(sockets=[listener])
    await reporting


async def _report_when_ready(server: uvicorn.Server, supervisor: Connection) -> None:
    while not server.started:  # noqa: ASYNC110  uvicorn has no event for it
        await asyncio.sleep(_STARTED_POLL_SECONDS)
    supervisor.send_bytes(READY)
