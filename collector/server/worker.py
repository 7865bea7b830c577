"""The worker process: uvicorn with our HTTP protocol serves the application on the supervisor's socket.

It reports to its supervisor when it serves and each change of its readiness, and stops at SIGTERM, before which the
supervisor sends the deadline.
Of uvicorn it uses only `Config`, `Server.serve` and `Server.started`.
"""

import asyncio
import contextlib
import os
import socket
from functools import partial
from multiprocessing.connection import Connection
from typing import Final

import msgspec
import uvicorn
import uvloop

from collector.app import create_app
from collector.http.connection import Connection as HttpProtocol
from collector.ops.counters import CounterBlock
from collector.process_log.output import set_up
from collector.server.budget import StopBudget, request_seconds
from collector.server.ending import stop_after_a_bug
from collector.server.node_state import WorkerReport
from collector.server.worker_process import BACKLOG
from collector.settings import Settings
from collector.shards.readiness import LOOK_SECONDS, Readiness

_STARTED_POLL_SECONDS: Final = 0.02


def run(settings: Settings, listener: socket.socket, counters: CounterBlock, supervisor: Connection) -> None:
    """Serve until SIGTERM, which ends this process. Exits with STARTUP_FAILURE if a person is needed."""
    set_up(settings.process_log.format, settings.process_log.level)
    counters.pid = os.getpid()
    budget = StopBudget(supervisor, settings.server.grace_seconds)
    readiness = Readiness(lambda: server.should_exit or budget.deadline is not None)
    server = uvicorn.Server(_config(settings, budget, readiness, counters))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(server, listener, readiness, supervisor))


def _config(settings: Settings, budget: StopBudget, readiness: Readiness, counters: CounterBlock) -> uvicorn.Config:
    return uvicorn.Config(
        partial(
            create_app,
            settings,
            seconds_for_sinks=budget.seconds_for_sinks,
            readiness=readiness,
            counters=counters,
        ),
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


async def _serve(server: uvicorn.Server, listener: socket.socket, readiness: Readiness, supervisor: Connection) -> None:
    """Serve. uvicorn handles SIGTERM, and raises it again at the end: a thread hanging in a sink can't delay that."""
    reporting = asyncio.create_task(_report(server, readiness, supervisor))
    reporting.add_done_callback(stop_after_a_bug)
    await server.serve(sockets=[listener])
    reporting.cancel()


async def _report(server: uvicorn.Server, readiness: Readiness, supervisor: Connection) -> None:
    while not server.started:  # noqa: ASYNC110  uvicorn has no event for it
        await asyncio.sleep(_STARTED_POLL_SECONDS)
    sent: WorkerReport | None = None
    while True:
        report = WorkerReport(readiness.shard, readiness.reason())
        if report != sent:
            with contextlib.suppress(OSError):  # the supervisor has died: this worker stops too
                supervisor.send_bytes(msgspec.json.encode(report))
            sent = report
        await asyncio.sleep(LOOK_SECONDS)
