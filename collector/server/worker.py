"""The worker process: uvicorn with our HTTP protocol serves the application on the supervisor's socket.

It reports to its supervisor when it serves and each change of its readiness, and stops at SIGTERM, before which the
supervisor sends the deadline.
Of uvicorn it uses only `Config`, `Server.serve` and `Server.started`.
"""

import asyncio
import os
import socket
from multiprocessing.connection import Connection
from typing import Final

import msgspec
import uvicorn
import uvloop

from collector.app import Worker
from collector.http.connection import Connection as HttpProtocol
from collector.ops.counters import CounterBlock
from collector.process_log.output import set_up
from collector.server.budget import StopBudget, request_seconds
from collector.server.control import Control, SettingsBoard
from collector.server.ending import stop_after_a_bug
from collector.server.node_state import WorkerReport
from collector.server.worker_process import BACKLOG
from collector.settings import Settings
from collector.shards.readiness import LOOK_SECONDS, Readiness

_STARTED_POLL_SECONDS: Final = 0.02


def run(
    settings: Settings,
    listener: socket.socket,
    counters: CounterBlock,
    board: SettingsBoard,
    supervisor: Connection,
) -> None:
    """Serve until SIGTERM, which ends this process. Exits with STARTUP_FAILURE if a person is needed."""
    set_up(settings.process_log.format, settings.process_log.level)
    counters.pid = os.getpid()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, listener, counters, board, Control(supervisor)))


async def _serve(
    settings: Settings, listener: socket.socket, counters: CounterBlock, board: SettingsBoard, control: Control
) -> None:
    """Serve. uvicorn handles SIGTERM, and raises it again at the end: a thread hanging in a sink can't delay that."""
    readiness = Readiness(lambda: server.should_exit or control.deadline is not None)
    budget = StopBudget(control, settings.server.grace_seconds)
    worker = Worker(settings, seconds_for_sinks=budget.seconds_for_sinks, readiness=readiness, counters=counters)
    server = uvicorn.Server(_config(worker, settings.server.grace_seconds))
    reporting = asyncio.create_task(_report(server, worker, readiness, board, control))
    reporting.add_done_callback(stop_after_a_bug)
    await server.serve(sockets=[listener])
    reporting.cancel()


def _config(worker: Worker, grace_seconds: int) -> uvicorn.Config:
    return uvicorn.Config(
        worker.app,
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
        timeout_graceful_shutdown=request_seconds(grace_seconds),
    )


async def _report(
    server: uvicorn.Server, worker: Worker, readiness: Readiness, board: SettingsBoard, control: Control
) -> None:
    """Report readiness when it changes, and swap settings when the supervisor asks for it."""
    while not server.started:  # noqa: ASYNC110  uvicorn has no event for it
        await asyncio.sleep(_STARTED_POLL_SECONDS)
    sent: WorkerReport | None = None
    swaps = 0
    while True:
        if swap := control.take_swap():
            await worker.swap(await asyncio.to_thread(board.read, swap))
            swaps = swap.number
        report = WorkerReport(readiness.shard, readiness.reason(), swaps)
        if report != sent:
            control.send(msgspec.json.encode(report))
            sent = report
        await asyncio.sleep(LOOK_SECONDS)
