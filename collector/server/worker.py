"""The worker process: uvicorn with our HTTP protocol serves the application on the supervisor's socket.

It reports to its supervisor when it is ready, and stops at SIGTERM, before which the supervisor sends the deadline.
Of uvicorn it uses only `Config`, `Server.serve` and `Server.started`.
"""

import asyncio
import logging.config
import socket
import sys
from functools import partial
from multiprocessing.connection import Connection
from typing import Final, cast

import uvicorn
import uvloop

from collector.app import create_app
from collector.http.connection import Connection as HttpProtocol
from collector.http.tls import TlsConnection
from collector.server.budget import StopBudget, request_seconds
from collector.server.process_log import LOGGING
from collector.server.tls import CertificateFault, Tls
from collector.server.worker_process import BACKLOG, READY
from collector.settings import Settings

_STARTED_POLL_SECONDS: Final = 0.02

logger = logging.getLogger(__name__)


def run(settings: Settings, listener: socket.socket, supervisor: Connection) -> None:
    """Serve until SIGTERM, which ends this process. Exits with STARTUP_FAILURE if a person is needed."""
    logging.config.dictConfig(LOGGING)
    tls = _tls(settings)
    server = uvicorn.Server(_config(settings, StopBudget(supervisor, settings.server.grace_seconds), tls))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(server, listener, supervisor, tls))


def _tls(settings: Settings) -> Tls | None:
    try:
        return Tls(settings.server) if settings.server.tls_certificate else None
    except CertificateFault as error:
        logger.critical("%s", error)
        sys.exit(1)  # the other workers serve the certificate that they have; this one starts again later


def _protocol(tls: Tls | None) -> type[asyncio.Protocol]:
    """The class of connections; uvicorn only calls it, so it may be a function."""
    return cast(type[asyncio.Protocol], partial(TlsConnection, tls.context)) if tls else HttpProtocol


def _config(settings: Settings, budget: StopBudget, tls: Tls | None) -> uvicorn.Config:
    return uvicorn.Config(
        partial(create_app, settings, seconds_for_sinks=budget.seconds_for_sinks),
        factory=True,
        http=_protocol(tls),
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


async def _serve(server: uvicorn.Server, listener: socket.socket, supervisor: Connection, tls: Tls | None) -> None:
    """Serve. uvicorn handles SIGTERM, and raises it again at the end: a thread hanging in a sink can't delay that."""
    reporting = asyncio.create_task(_report_when_ready(server, supervisor))
    watching = asyncio.create_task(tls.warn_daily()) if tls else None
    await server.serve(sockets=[listener])
    await reporting
    if watching:
        watching.cancel()


async def _report_when_ready(server: uvicorn.Server, supervisor: Connection) -> None:
    while not server.started:  # noqa: ASYNC110  uvicorn has no event for it
        await asyncio.sleep(_STARTED_POLL_SECONDS)
    supervisor.send_bytes(READY)
