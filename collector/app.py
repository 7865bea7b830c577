"""The composition root: builds one worker's application from the settings. The only module that knows all others."""

import asyncio
import contextlib
import gc
import os
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import ip_network
from typing import Any, Final, TypeVar

from starlette.applications import Starlette
from starlette.routing import Route

from collector.background import log_notices, log_notices_forever, shipping
from collector.dedup.index import IndexStats
from collector.endpoints import Endpoints, event_paths, open_routes
from collector.errors import BadSettings, NotFound
from collector.http.asgi import AsgiFace
from collector.http.connections import STATE, Connections
from collector.http.documents import Document, HealthCheck, RefusesAll
from collector.http.in_flight import InFlight
from collector.http.meter import Meter
from collector.http.routes import Routes
from collector.ingest.accounts.settling import settle
from collector.ingest.openapi import openapi
from collector.ingest.policy.client_address import is_trusted
from collector.ingest.policy.properties import Registry
from collector.ops import gauges
from collector.ops.commits import CommitMeter
from collector.ops.counters import CounterBlock
from collector.ops.notices import Notices
from collector.ops.readiness import EXPLANATIONS
from collector.process_log.of_processes import StartFailed
from collector.server.ending import stop_after_a_bug, stop_for_recovery, stop_with_parent
from collector.server.exit_codes import STARTUP_FAILURE
from collector.settings import OPENAPI_PATH, Settings
from collector.shards.event_ids import complete, windows_of
from collector.shards.opening import Opened, OpenFiles, Opening
from collector.shards.readiness import Readiness
from collector.web.pages import add_pages
from wal.errors import WalError, explain
from wal.log import now_ms

_OPENING_SECONDS: Final = 1.0
"""Seconds between a worker's attempts to open its shard."""
_COMMIT_PAUSE: Final = 0.01
"""Seconds between two looks at whether a block is fsynced."""
_THREADS: Final = 64
_SWITCH_SECONDS: Final = 0.0005
"""How long a shipping thread may hold the interpreter while the event loop waits: a tenth of Python's default."""
_NICENESS: Final = 10
"""Shipping threads get a tenth of a core that requests can use fully. Without it they take half, 3 ms at a time."""

T = TypeVar("T")


def create_app(settings: Settings, clock: Callable[[], int] = now_ms) -> Starlette:
    """Open a shard and build the application on it, without a supervisor. Runs inside the event loop."""
    return Worker(settings, clock=clock).app


class Worker:
    """A worker: its application, and all that runs beside it. Create it inside the event loop.

    If the disk is too full to open the shard, it responds with 503, and opens the shard when there is room.
    If the shard needs a person, it logs the reason and exits with STARTUP_FAILURE.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], int] = now_ms,
        seconds_for_sinks: Callable[[], float] | None = None,
        readiness: Readiness | None = None,
        counters: CounterBlock | None = None,
    ) -> None:
        """`clock` gives Unix ms. The rest ties it to its supervisor; without one it has its own.

        At a stop, after the last request, `seconds_for_sinks` gives the time to ship; the default is all of
        `server.grace_seconds`. `readiness` is set when the log is open; `counters` are those of this worker's place.
        """
        self._settings = settings
        self._clock = clock
        self._grace = seconds_for_sinks or (lambda: settings.server.grace_seconds)
        self._readiness = readiness or Readiness(is_draining=lambda: False)
        self._counters = counters or CounterBlock.create()
        settle(self._counters, settings.log.dir)
        gauges.reset(self._counters)
        self._proxies = tuple(ip_network(network) for network in settings.server.trusted_proxies)
        self._notices = Notices()
        self._opening = Opening(settings, clock, self._notices, self._counters, stop_for_recovery)
        self._registry = Registry(settings.property, settings.server.workers)
        self._in_flight = InFlight(settings.limits.in_flight_bytes)
        self._paths = event_paths(settings.server)
        self._routes = self._first_routes()
        self._meter = Meter(self._counters, self._routes)
        self._connections: Connections | None = None
        self._endpoints: Endpoints | None = None
        self._opened = self._take_into_use(_or_exit(self._opening.open_files))
        face = AsgiFace(self._routes, settings.limits, self._in_flight, self._meter)
        paths = [*(name.decode() for name in self._routes if name.startswith(b"/")), "/{path:path}"]
        self.app = Starlette(routes=[Route(path, face) for path in paths], lifespan=self._lifespan)

    async def swap(self, settings: Settings) -> None:
        """Serve with the properties and limits of other settings, from the next request on.

        Everything else in them must be as it was: see `settings.effects`. A connection keeps the limits of its start.
        """
        properties, workers = settings.property, settings.server.workers
        registry = await asyncio.to_thread(Registry, properties, workers, self._registry)
        is_remembered = windows_of(properties) == windows_of(self._settings.property)
        self._settings, self._registry = settings, registry
        self._in_flight.most_bytes = settings.limits.in_flight_bytes
        if self._connections:
            self._connections.limits = settings.limits
        self._routes.replace(OPENAPI_PATH.encode(), Document(openapi(self._paths, settings)))
        self._serve()
        if self._opened and not is_remembered:
            await self._complete_ids(self._opened, settings)

    async def _complete_ids(self, opened: Opened, settings: Settings) -> None:
        """Have the index know the ids that these settings remember, of events that were not claimed on arrival.

        New events are claimed already. Those before are read from the log, so they must be in it.
        """
        committer = opened.shard.committer
        last = committer.next_sequence
        while committer.durable.sequence < min(last, committer.next_sequence):  # noqa: ASYNC110  nothing signals it
            await asyncio.sleep(_COMMIT_PAUSE)
        await asyncio.to_thread(complete, opened.index, settings, self._clock())

    def _first_routes(self) -> Routes:
        """The routes until the log is open: no event can be taken."""
        server = self._settings.server
        routes = Routes({}, RefusesAll(NotFound().refusal))
        open_routes(server, routes)
        if server.health_path:
            routes.replace(server.health_path.encode(), HealthCheck(self._readiness.reason, EXPLANATIONS))
        routes.replace(OPENAPI_PATH.encode(), Document(openapi(self._paths, self._settings)))
        add_pages(routes, server.alias, server.demo)
        return routes

    @asynccontextmanager
    async def _lifespan(self, _: object) -> AsyncIterator[dict[str, Any]]:
        """Run the background work of the worker; yields the state that connections share."""
        # A thread for each call that may block, so that a sink that hangs does not keep another one from its thread.
        # On Linux `nice` acts on the calling thread alone.
        threads = ThreadPoolExecutor(_THREADS, "blocking", initializer=os.nice, initargs=(_NICENESS,))
        asyncio.get_running_loop().set_default_executor(threads)
        stopping = asyncio.Event()
        running = asyncio.create_task(self._run(stopping))
        running.add_done_callback(stop_after_a_bug)
        self._connections = connections = Connections(
            self._settings.limits,
            self._routes,
            in_flight=self._in_flight,
            notices=self._notices,
            meter=self._meter,
            is_proxy=partial(is_trusted, trusted=self._proxies),
        )
        stop_with_parent()
        sys.setswitchinterval(_SWITCH_SECONDS)
        gc.collect()
        gc.freeze()  # collections skip the objects that live as long as the process
        noticing = asyncio.create_task(log_notices_forever(self._notices))
        looking = asyncio.create_task(self._readiness.look_forever())
        measuring = asyncio.create_task(gauges.set_forever(self._counters, partial(self._load, connections)))
        counting_ids = asyncio.create_task(gauges.set_ids_forever(self._counters, self._ids))
        counting_ids.add_done_callback(stop_after_a_bug)
        try:
            yield {STATE: connections}
        finally:
            connections.close()
            looking.cancel()
            measuring.cancel()
            counting_ids.cancel()
            stopping.set()
            await running
            noticing.cancel()
            log_notices(self._notices, is_last=True)

    def _load(self, connections: Connections) -> gauges.Load:
        committer = self._opened.shard.committer if self._opened else None
        return gauges.Load(
            len(connections),
            self._in_flight.bytes,
            os.path.basename(committer.log.folder.path) if committer else None,
            committer.pressure if committer else 0.0,
        )

    async def _ids(self) -> IndexStats | None:
        return await self._endpoints.dedup.stats(self._clock()) if self._endpoints else None

    async def _run(self, stopping: asyncio.Event) -> None:
        """Open the shard if that was not possible before, then ship until the worker stops."""
        while self._opened is None and not await _is_set_within(stopping, _OPENING_SECONDS):
            self._opened = self._take_into_use(await asyncio.to_thread(_or_exit, self._opening.open_files))
        if self._opened is None:
            await self._opening.close()
        else:
            async with shipping(self._settings, self._opened, self._grace):
                await stopping.wait()

    def _take_into_use(self, files: OpenFiles | None) -> Opened | None:
        """Serve requests with the files of a shard from now on, if they are open."""
        opened = _or_exit(partial(self._opening.build, files)) if files else None
        if opened:
            committer = opened.shard.committer
            committer.on_commit = CommitMeter(self._counters).observe
            self._endpoints = Endpoints(
                self._settings,
                opened,
                proxies=self._proxies,
                counters=self._counters,
                notices=self._notices,
                clock=self._clock,
                end_worker=stop_for_recovery,
            )
            self._serve()
            self._readiness.open(committer)
        return opened

    def _serve(self) -> None:
        """Serve with the settings of now, if the log is open."""
        if self._endpoints is None:
            return
        for route, endpoint in self._endpoints.by_route(self._settings, self._registry).items():
            self._routes.replace(route, endpoint)


def _or_exit(attempt: Callable[[], T]) -> T:
    """The result of an attempt to open a shard. If that needs a person, ends the collector."""
    try:
        return attempt()
    except OSError as error:
        StartFailed(explain(error, "the log")).write()
    except (WalError, BadSettings) as error:
        StartFailed(str(error)).write()
    sys.exit(STARTUP_FAILURE)


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()
