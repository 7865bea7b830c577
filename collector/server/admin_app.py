"""The application of the admin address. Knows the node by its supervisor's states and by the data folder.

An endpoint that blocks is a plain function, which Starlette runs in a thread.
"""

import asyncio
import platform
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from collector.ops.console.access.access import Access
from collector.ops.console.access.guard import Guard
from collector.ops.console.api.refusals import EXCEPTION_HANDLERS, json_response
from collector.ops.console.app import console_routes
from collector.ops.console.watch import Watch
from collector.ops.counters import CounterBlock
from collector.ops.metrics import CONTENT_TYPE, render
from collector.ops.readiness import NotReady
from collector.ops.status import shard_statuses, sink_statuses
from collector.server.node_metrics import samples_of
from collector.server.node_state import NodeState, WorkerState
from collector.settings import Settings
from collector.settings.digest import settings_digest
from collector.settings.environment import read_header_key
from wal import __version__
from wal.log import now_ms

_HUNG_SECONDS: Final = 5.0
"""A worker beats four times a second. It may be late: to turn red for a moment would move its load to the others."""


class Admin(NamedTuple):
    """The context of the endpoints."""

    settings: Settings
    config: str
    """The path of the settings file."""
    node: Callable[[], NodeState]
    """Returns the last state that the supervisor sent."""
    counters: tuple[CounterBlock, ...]
    """Those of all workers."""


def watch_of(admin: Admin) -> Watch:
    """What watches the node for the console, once it runs."""
    return Watch(admin.settings, admin.config, partial(_node, admin), admin.counters)


def create_admin_app(admin: Admin, watch: Watch | None = None) -> ASGIApp:
    """The application; without `watch` with one that does not run. Raises BadSettings if the token can't be read."""
    token = admin.settings.admin.token
    access = Access(read_header_key("admin.token", token) if token else None, now_ms)
    console = console_routes(admin.settings, admin.config, access, watch or watch_of(admin), partial(_shards, admin))
    open_routes = (Route("/livez", _livez), Route("/readyz", partial(_readyz, admin)), *console.open)
    routes = (
        *open_routes,
        Route("/status", partial(_status, admin)),
        Route("/metrics", partial(_metrics, admin, asyncio.Lock())),
        *console.guarded,
    )
    app = Starlette(routes=routes, exception_handlers=EXCEPTION_HANDLERS)
    app.router.redirect_slashes = False
    return Guard(app, access, admin.settings.admin.hosts, open_routes)


async def _livez(_: Request) -> Response:
    """200 while this process lives. It ends with its supervisor."""
    return json_response({"status": "alive"})


async def _readyz(admin: Admin, _: Request) -> Response:
    """200 while the node takes events, else 503; with the reason of each worker."""
    node = _node(admin)
    return json_response(
        _readiness(node) | {"workers": [_worker(worker) for worker in node.workers]}, 200 if node.is_ready else 503
    )


def _status(admin: Admin, _: Request) -> Response:
    """Everything on one page."""
    node = _node(admin)
    body = {
        **_readiness(node),
        "version": __version__,
        "settings": {"file": admin.config, "digest": settings_digest(admin.settings)},
        "started_ms": node.started_ms,
        "uptime_seconds": max(now_ms() - node.started_ms, 0) / 1000,
        "last_reload": node.last_reload and msgspec.structs.asdict(node.last_reload),
        "workers": [_worker(worker) | msgspec.structs.asdict(worker) for worker in node.workers],
        "shards": shard_statuses(admin.settings),
        "sinks": sink_statuses(admin.settings, [worker.shard for worker in node.workers]),
    }
    return json_response(body)


async def _metrics(admin: Admin, lock: asyncio.Lock, _: Request) -> Response:
    """The metrics, in OpenMetrics. One scrape at a time: blocks of counters have no lock for readers."""
    build = {"version": __version__, "python": platform.python_version(), "config": settings_digest(admin.settings)}
    node = _node(admin)
    async with lock:
        text = await run_in_threadpool(render, admin.counters, admin.settings, build, samples_of(node))
    return Response(text, 200, media_type=CONTENT_TYPE)


def _node(admin: Admin) -> NodeState:
    """The last state of the node, in which workers that hang are not ready: they can't tell that themselves."""
    node = admin.node()
    hung = {block.pid for block in admin.counters if block.silent_seconds > _HUNG_SECONDS}
    workers = (
        replace(worker, reason=NotReady.HUNG) if worker.is_ready and worker.pid in hung else worker
        for worker in node.workers
    )
    return replace(node, workers=tuple(workers))


def _shards(admin: Admin) -> list[str | None]:
    """The shard of each worker, by its place; None where it has none yet."""
    return [worker.shard for worker in admin.node().workers]


def _readiness(node: NodeState) -> dict[str, Any]:
    return {"status": "ready"} if node.is_ready else {"status": "not ready", "reason": node.reason}


def _worker(worker: WorkerState) -> dict[str, Any]:
    return {
        "place": worker.place,
        "pid": worker.pid,
        "shard": worker.shard,
        "ready": worker.is_ready,
        "reason": worker.reason,
    }
