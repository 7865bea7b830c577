"""The composition root: builds one worker's application from the settings. The only module that knows all others."""

import asyncio
import contextlib
import gc
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import ip_network
from typing import Any, Final, TypeVar

from starlette.applications import Starlette
from starlette.routing import Route

from collector.errors import BadSettings, NotFound
from collector.http.asgi import AsgiFace
from collector.http.connections import STATE, Connections
from collector.http.documents import Document, HealthCheck, RefusesAll
from collector.http.endpoint import AnyEndpoint
from collector.http.in_flight import InFlight
from collector.http.meter import Meter
from collector.http.routes import Routes
from collector.http.status import UNAVAILABLE
from collector.ingest.accounts import Accounts
from collector.ingest.batch import Batches
from collector.ingest.completion import Completion
from collector.ingest.dialects.relay import RelayEndpoint
from collector.ingest.endpoint import EventEndpoint
from collector.ingest.intake import Intake
from collector.ingest.openapi import openapi
from collector.ingest.options import OptionsReader
from collector.ingest.policy.client_address import Networks, is_trusted
from collector.ingest.policy.properties import Registry
from collector.ingest.policy.redirect import Signer
from collector.ingest.policy.write_keys import key_digest
from collector.ingest.rejects import Rejects
from collector.ingest.session import Sessions
from collector.ingest.settling import settle
from collector.ops import gauges
from collector.ops.commits import CommitMeter
from collector.ops.counters import CounterBlock
from collector.ops.notices import Notices
from collector.ops.readiness import EXPLANATIONS
from collector.process_log.of_processes import StartFailed
from collector.process_log.of_shards import CloseFailed
from collector.relays.logs import RelayedLogs
from collector.server.ending import stop_after_a_bug, stop_for_recovery, stop_with_parent
from collector.server.exit_codes import STARTUP_FAILURE
from collector.settings import EVENT_PATHS, OPENAPI_PATH, RELAY_PATH, Settings
from collector.shards.adoption import adopt_orphans
from collector.shards.opening import Opened, Opening
from collector.shards.readiness import Readiness
from collector.shards.shard import Shard, drop_dead_letters_forever
from wal.committer import Committer
from wal.errors import WalError, explain
from wal.log import Log, now_ms

_OPENING_SECONDS: Final = 1.0
"""Seconds between a worker's attempts to open its shard."""
_THREADS: Final = 64
_NOTICE_SECONDS: Final = 1.0
_SWITCH_SECONDS: Final = 0.0005
"""How long a shipping thread may hold the interpreter while the event loop waits: a tenth of Python's default."""
_NICENESS: Final = 10
"""Shipping threads get a tenth of a core that requests can use fully. Without it they take half, 3 ms at a time."""

T = TypeVar("T")


def create_app(
    settings: Settings,
    clock: Callable[[], int] = now_ms,
    seconds_for_sinks: Callable[[], float] | None = None,
    readiness: Readiness | None = None,
    counters: CounterBlock | None = None,
) -> Starlette:
    """Open a shard and build the application on it. Runs inside the worker's event loop; `clock` gives Unix ms.

    `counters` are those of this worker's place; without a supervisor it has its own.

    At a stop, after the last request, `seconds_for_sinks` gives the time to ship; the default is all of
    `server.grace_seconds`. `readiness` is told when the log is open.
    If the disk is too full to open the shard, the application responds with 503, and opens it when there is room.
    If the shard needs a person, logs the reason and exits with STARTUP_FAILURE.
    """
    grace = seconds_for_sinks or (lambda: settings.server.grace_seconds)
    worker = _Worker(
        settings, clock, grace, readiness or Readiness(is_draining=lambda: False), counters or CounterBlock.create()
    )
    face = AsgiFace(worker.routes, settings.limits, worker.in_flight, worker.meter)
    paths = [*(path.decode() for path in worker.routes), "/{path:path}"]
    return Starlette(routes=[Route(path, face) for path in paths], lifespan=worker.lifespan)


class _Worker:
    """The state of a worker. Until its shard is open, its endpoints refuse all requests with 503."""

    def __init__(
        self,
        settings: Settings,
        clock: Callable[[], int],
        grace: Callable[[], float],
        readiness: Readiness,
        counters: CounterBlock,
    ) -> None:
        self._settings = settings
        self._readiness = readiness
        self._counters = counters
        settle(counters, settings.log.dir)
        gauges.reset(counters)
        self._clock = clock
        self._grace = grace
        self._paths = (*EVENT_PATHS, *([settings.server.alias] if settings.server.alias else []))
        self._proxies = tuple(ip_network(network) for network in settings.server.trusted_proxies)
        self._notices = Notices()
        self._opening = Opening(settings, clock, self._notices, counters, stop_for_recovery)
        self.in_flight = InFlight(settings.limits.in_flight_bytes)
        waiting = (*self._paths, *([RELAY_PATH] if settings.server.relay_keys else []))
        endpoints: dict[bytes, AnyEndpoint] = {path.encode(): RefusesAll(UNAVAILABLE) for path in waiting}
        if settings.server.health_path:
            endpoints[settings.server.health_path.encode()] = HealthCheck(readiness.reason, EXPLANATIONS)
        endpoints[OPENAPI_PATH.encode()] = Document(openapi(self._paths, settings))
        self.routes = Routes(endpoints, RefusesAll(NotFound().refusal))
        self.meter = Meter(counters, self.routes)
        self._opened = self._serve(_or_exit(self._opening.open_files))

    @asynccontextmanager
    async def lifespan(self, _: object) -> AsyncIterator[dict[str, Any]]:
        """Run the background work of the worker; yields the state that connections share."""
        # A thread for each call that may block, so that a sink that hangs does not keep another one from its thread.
        # On Linux `nice` acts on the calling thread alone.
        threads = ThreadPoolExecutor(_THREADS, "blocking", initializer=os.nice, initargs=(_NICENESS,))
        asyncio.get_running_loop().set_default_executor(threads)
        stopping = asyncio.Event()
        running = asyncio.create_task(self._run(stopping))
        running.add_done_callback(stop_after_a_bug)
        connections = Connections(
            self._settings.limits,
            self.routes,
            in_flight=self.in_flight,
            notices=self._notices,
            meter=self.meter,
            is_proxy=partial(is_trusted, trusted=self._proxies),
        )
        stop_with_parent()
        sys.setswitchinterval(_SWITCH_SECONDS)
        gc.collect()
        gc.freeze()  # collections skip the objects that live as long as the process
        noticing = asyncio.create_task(_log_notices_forever(self._notices))
        looking = asyncio.create_task(self._readiness.look_forever())
        measuring = asyncio.create_task(gauges.set_forever(self._counters, partial(self._load, connections)))
        try:
            yield {STATE: connections}
        finally:
            connections.close()
            looking.cancel()
            stopping.set()
            await running
            noticing.cancel()
            measuring.cancel()
            _log_notices(self._notices, is_last=True)

    def _load(self, connections: Connections) -> gauges.Load:
        committer = self._opened.shard.committer if self._opened else None
        return gauges.Load(
            len(connections),
            self.in_flight.bytes,
            os.path.basename(committer.log.folder.path) if committer else None,
            committer.pressure if committer else 0.0,
        )

    async def _run(self, stopping: asyncio.Event) -> None:
        """Open the shard if that was not possible before, then ship until the worker stops."""
        while self._opened is None and not await _is_set_within(stopping, _OPENING_SECONDS):
            self._opened = self._serve(await asyncio.to_thread(_or_exit, self._opening.open_files))
        if self._opened is None:
            await self._opening.close()
        else:
            async with _shipping(self._settings, self._opened, self._grace):
                await stopping.wait()

    def _serve(self, logs: tuple[Log, Log] | None) -> Opened | None:
        """Serve requests with the logs of a shard from now on, if it is open."""
        opened = _or_exit(partial(self._opening.build, *logs)) if logs else None
        if opened:
            opened.shard.committer.on_commit = CommitMeter(self._counters).observe
            endpoint = _event_endpoint(
                self._settings, opened, self._clock, self._notices, self._proxies, self._counters
            )
            for path in self._paths:
                self.routes.replace(path.encode(), endpoint)
            self._readiness.open(opened.shard.committer)
            if self._settings.server.relay_keys:
                relay = _relay_endpoint(self._settings, opened.shard, self._clock, self._counters)
                self.routes.replace(RELAY_PATH.encode(), relay)
        return opened


def _or_exit(attempt: Callable[[], T]) -> T:
    """The result of an attempt to open a shard. If that needs a person, ends the collector."""
    try:
        return attempt()
    except OSError as error:
        StartFailed(explain(error, "the log")).write()
    except (WalError, BadSettings) as error:
        StartFailed(str(error)).write()
    sys.exit(STARTUP_FAILURE)


async def _log_notices_forever(notices: Notices) -> None:
    while True:
        await asyncio.sleep(_NOTICE_SECONDS)
        _log_notices(notices)


def _log_notices(notices: Notices, *, is_last: bool = False) -> None:
    for event in notices.due(time.monotonic(), is_last=is_last):
        event.write()


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()


@asynccontextmanager
async def _shipping(settings: Settings, opened: Opened, grace: Callable[[], float]) -> AsyncIterator[None]:
    """Ship, adopt orphans and drop old segments; at the end ship the rest, as far as time allows."""
    opened.shard.start()
    tasks = [
        asyncio.create_task(adopt_orphans(settings, opened.sink_dead_letters)),
        asyncio.create_task(drop_dead_letters_forever(settings, opened.dead_committer)),
    ]
    for task in tasks:
        task.add_done_callback(stop_after_a_bug)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await opened.shard.close(grace())
        await _close(opened.dead_committer)


def _relay_endpoint(
    settings: Settings, shard: Shard, clock: Callable[[], int], counters: CounterBlock
) -> RelayEndpoint:
    digests = tuple(key_digest("server.relay_keys", key) for key in settings.server.relay_keys)
    relays = RelayedLogs(settings.log.dir, shard.committer, digests, counters, clock=clock)
    return RelayEndpoint(relays=relays, key_digests=digests, limits=settings.limits)


def _event_endpoint(
    settings: Settings,
    opened: Opened,
    clock: Callable[[], int],
    notices: Notices,
    proxies: Networks,
    counters: CounterBlock,
) -> EventEndpoint:
    secret, shard, limits = opened.secret, opened.shard, settings.limits
    sessions = Sessions(secret, settings.session.timeout_seconds)
    rejects = Rejects(opened.dead_letters)
    accounts = Accounts(counters, shard.committer)
    batches = Batches(shard.committer, rejects, accounts, sessions, limits)
    return EventEndpoint(
        options=OptionsReader(Registry(settings.property, settings.server.workers), Signer(secret), clock),
        intake=Intake(shard.committer, batches, accounts, sessions, limits, clock),
        completion=Completion(batches, rejects, accounts, shard.acknowledgements()),
        rejects=rejects,
        accounts=accounts,
        limits=limits,
        trusted_proxies=proxies,
        notices=notices,
    )


async def _close(committer: Committer) -> None:
    try:
        await committer.close()
    except WalError as error:
        CloseFailed(str(error)).write()
    committer.log.close()
