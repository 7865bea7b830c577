"""The worker process: uvicorn with our HTTP protocol serves the application on the supervisor's socket.

It reports to its supervisor when it serves and each change of its readiness, and stops at SIGTERM, before which the
supervisor sends the deadline.
Of uvicorn it uses only `Config`, `Server.serve`, `Server.started` and `Server.should_exit`.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Coroutine
from functools import partial
from multiprocessing.connection import Connection
from typing import Final, cast

import msgspec
import uvicorn
import uvloop

from collector.app import Worker
from collector.http.connection import Connection as HttpProtocol
from collector.http.tls import TlsConnection
from collector.ops.counters import CounterBlock
from collector.process_log.of_processes import CertificateKept, WorkerFailed
from collector.process_log.output import set_up
from collector.server.budget import StopBudget, request_seconds
from collector.server.control import Control, SettingsBoard
from collector.server.ending import stop_after_a_bug
from collector.server.node_state import WorkerReport
from collector.server.tls import CertificateFault, Tls
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
    tls = _tls(settings)
    readiness = Readiness(lambda: server.should_exit or control.deadline is not None)
    budget = StopBudget(control, settings.server.grace_seconds)
    worker = Worker(settings, seconds_for_sinks=budget.seconds_for_sinks, readiness=readiness, counters=counters)
    server = uvicorn.Server(_config(worker, settings.server.grace_seconds, tls))
    tasks = [asyncio.create_task(_report(server, worker, readiness, counters, board, control, tls))]
    if tls:
        tasks.append(asyncio.create_task(tls.warn_daily()))
    for task in tasks:
        task.add_done_callback(stop_after_a_bug)
    await server.serve(sockets=[listener])
    for task in tasks:
        task.cancel()


def _tls(settings: Settings) -> Tls | None:
    try:
        return Tls(settings.server) if settings.server.tls_certificate else None
    except CertificateFault as error:
        WorkerFailed(str(error)).write()
        sys.exit(1)  # the other workers serve the certificate that they have; this one starts again later


def _protocol(tls: Tls | None) -> type[asyncio.Protocol]:
    """The class of connections; uvicorn only calls it, so it may be a function."""
    return cast(type[asyncio.Protocol], partial(TlsConnection, tls.context)) if tls else HttpProtocol


def _config(worker: Worker, grace_seconds: int, tls: Tls | None) -> uvicorn.Config:
    return uvicorn.Config(
        worker.app,
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
        timeout_graceful_shutdown=request_seconds(grace_seconds),
    )


def _read_again(tls: Tls, settings: Settings) -> None:
    """Serve the certificate that is in the files now. The supervisor has just found it sound."""
    try:
        tls.reload(settings.server)
    except CertificateFault as error:
        CertificateKept(str(error)).write()


async def _report(
    server: uvicorn.Server,
    worker: Worker,
    readiness: Readiness,
    counters: CounterBlock,
    board: SettingsBoard,
    control: Control,
    tls: Tls | None,
) -> None:
    """Report readiness when it changes, and swap settings when the supervisor asks for it."""
    while not server.started:  # noqa: ASYNC110  uvicorn has no event for it
        await asyncio.sleep(_STARTED_POLL_SECONDS)
    sent: WorkerReport | None = None
    swaps = 0
    while True:
        if swap := control.take_swap():
            settings = await asyncio.to_thread(board.read, swap)
            await _while_beating(worker.swap(settings), counters)
            if tls:
                _read_again(tls, settings)
            swaps = swap.number
        counters.beat()
        report = WorkerReport(readiness.shard, readiness.reason(), swaps, tls.end if tls else None)
        if report != sent:
            control.send(msgspec.json.encode(report))
            sent = report
        await asyncio.sleep(LOOK_SECONDS)


async def _while_beating(work: Coroutine[None, None, None], counters: CounterBlock) -> None:
    """Beat while the work goes on, which may read long logs."""
    task = asyncio.ensure_future(work)
    while not task.done():
        counters.beat()
        await asyncio.wait([task], timeout=LOOK_SECONDS)
    task.result()
