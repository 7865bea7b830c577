"""The composition root: builds one worker's application from the settings. The only module that knows everything."""

import asyncio
import contextlib
import gc
import logging
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import ip_network
from typing import Any, Final, TypeVar

from starlette.routing import Route, Router

from collector.errors import BadSettings
from collector.ingest.connection import STATE, Connections
from collector.ingest.direct import Direct
from collector.ingest.intake import Intake
from collector.ingest.openapi import openapi
from collector.ingest.redirect import Signer
from collector.ingest.relay import RelayEndpoint
from collector.ingest.route import Document, EventEndpoint, Unavailable, not_found
from collector.ingest.session import Sessions
from collector.ingest.target import Targets
from collector.notices import Notices
from collector.registry import Registry, key_digest
from collector.relays import RelayedLogs
from collector.settings import EVENT_PATHS, OPENAPI_PATH, RELAY_PATH, Settings
from collector.shards.adoption import adopt_orphans
from collector.shards.opening import Opened, Opening
from collector.shards.shard import Shard, drop_dead_letters_forever
from wal.committer import Committer
from wal.errors import WalError, explain
from wal.log import Log, now_ms

STARTUP_FAILURE: Final = 3
"""The exit code at which uvicorn stops all workers rather than start this one again: a restart would fail alike."""

_OPENING_SECONDS: Final = 1.0
"""How long a worker waits until it tries again to open its shard."""
_THREADS: Final = 64
_TELLING_SECONDS: Final = 1.0
_SWITCH_SECONDS: Final = 0.0005
"""How long a thread that ships may keep the event loop from the interpreter, ten times as often as Python has it."""
_NICENESS: Final = 10
"""Threads that ship get a tenth of a core that requests want whole: without, they take half, 3 ms at a time."""

T = TypeVar("T")

logger = logging.getLogger(__name__)


def create_app(settings: Settings, clock: Callable[[], int] = now_ms) -> Direct:
    """Open a shard and build the application on it. Runs inside the worker's event loop; `clock` gives Unix ms.

    Where a full disk does not let it open the shard, the application answers 503, and opens it once there is room.
    Exits with STARTUP_FAILURE, and a line that says why, where the shard needs a person.
    """
    paths = (*EVENT_PATHS, *([settings.server.alias] if settings.server.alias else []))
    notices = Notices()
    opening = Opening(settings, clock, notices, _stop_for_recovery)

    def built(logs: tuple[Log, Log] | None) -> Opened | None:
        opened = _or_exit(partial(opening.build, *logs)) if logs else None
        if opened:
            serve(opened)
        return opened

    def serve(opened: Opened) -> None:
        endpoint = _endpoint(settings, opened, clock, notices)
        router.routes = [
            *(Route(path, endpoint) for path in paths),
            *_other_routes(settings, opened.shard, paths, clock),
        ]
        direct.serve(dict.fromkeys(paths, endpoint))

    async def run(opened: Opened | None, stopping: asyncio.Event) -> None:
        """Serve, once that is possible, until the worker stops."""
        while opened is None and not await _is_set_within(stopping, _OPENING_SECONDS):
            opened = built(await asyncio.to_thread(_or_exit, opening.open_files))
        if opened is None:
            await opening.close()
        else:
            async with _shipping(settings, opened):
                await stopping.wait()

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[dict[str, Any]]:
        # A thread for whatever may block at a time: no sink that hangs keeps another one from its thread.
        # On Linux `nice` is of the thread that calls it.
        threads = ThreadPoolExecutor(_THREADS, "blocking", initializer=os.nice, initargs=(_NICENESS,))
        asyncio.get_running_loop().set_default_executor(threads)
        stopping = asyncio.Event()
        running = asyncio.create_task(run(opened, stopping))
        running.add_done_callback(_stop_after_a_bug)
        connections = Connections(settings.limits, direct.begins, notices)
        _stop_with_parent()
        sys.setswitchinterval(_SWITCH_SECONDS)
        gc.collect()
        gc.freeze()  # what lives for ever is not looked at by each collection
        telling = asyncio.create_task(_tell_forever(notices))
        try:
            yield {STATE: connections}
        finally:
            connections.close()
            stopping.set()
            await running
            telling.cancel()
            _tell(notices, is_last=True)

    waiting = (*paths, *([RELAY_PATH] if settings.server.relay_keys else []))
    routes = [
        *(Route(path, Unavailable()) for path in waiting),
        Route(OPENAPI_PATH, Document(openapi(paths, settings))),
    ]
    router = Router(routes, default=not_found, lifespan=lifespan, redirect_slashes=False)
    direct = Direct(router)
    opened = built(_or_exit(opening.open_files))
    return direct


def _or_exit(attempt: Callable[[], T]) -> T:
    """The result of an attempt to open a shard; where that needs a person, the end of the collector."""
    try:
        return attempt()
    except OSError as error:
        logger.critical("%s", explain(error, "the log"))
    except (WalError, BadSettings) as error:
        logger.critical("%s", error)
    sys.exit(STARTUP_FAILURE)


async def _tell_forever(notices: Notices) -> None:
    while True:
        await asyncio.sleep(_TELLING_SECONDS)
        _tell(notices)


def _tell(notices: Notices, *, is_last: bool = False) -> None:
    for line in notices.due(time.monotonic(), is_last=is_last):
        logger.warning("%s", line)


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()


@asynccontextmanager
async def _shipping(settings: Settings, opened: Opened) -> AsyncIterator[None]:
    """Ship, look after orphans and old segments; and at the end ship what can be shipped in time."""
    opened.shard.start()
    tasks = [
        asyncio.create_task(adopt_orphans(settings, opened.sink_dead_letters)),
        asyncio.create_task(drop_dead_letters_forever(settings, opened.dead_committer)),
    ]
    for task in tasks:
        task.add_done_callback(_stop_after_a_bug)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await opened.shard.close(settings.server.grace_seconds)
        await _close(opened.dead_committer)


def _other_routes(
    settings: Settings, shard: Shard, paths: tuple[str, ...], clock: Callable[[], int]
) -> Iterator[Route]:
    yield Route(OPENAPI_PATH, Document(openapi(paths, settings)))
    if keys := settings.server.relay_keys:
        digests = tuple(key_digest("server.relay_keys", key) for key in keys)
        relays = RelayedLogs(settings.log.dir, shard.committer, digests, clock=clock)
        yield Route(RELAY_PATH, RelayEndpoint(relays=relays, key_digests=digests, limits=settings.limits))


def _endpoint(settings: Settings, opened: Opened, clock: Callable[[], int], notices: Notices) -> EventEndpoint:
    secret, shard = opened.secret, opened.shard
    intake = Intake(
        committer=shard.committer,
        dead_letters=opened.dead_letters,
        sessions=Sessions(secret, settings.session.timeout_seconds),
        limits=settings.limits,
        confirmations=shard.acknowledgements(),
        clock=clock,
    )
    return EventEndpoint(
        targets=Targets(Registry(settings.property, settings.server.workers), Signer(secret), clock),
        intake=intake,
        limits=settings.limits,
        trusted_proxies=tuple(ip_network(network) for network in settings.server.trusted_proxies),
        notices=notices,
    )


async def _close(committer: Committer) -> None:
    try:
        await committer.close()
    except WalError as error:
        logger.warning("at the close of a log: %s", error)
    committer.log.close()


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _stop_after_a_bug(task: asyncio.Task[None]) -> None:
    """End this process where what serves has ended before its time; another one starts."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.critical("a bug ends this worker", exc_info=error)
        _stop()


def _stop_for_recovery(fault: Exception) -> None:
    """End this process; uvicorn raises the signal again at the end, so its exit code is not 0, and starts another."""
    logger.critical("%s", fault)
    _stop()


def _stop_with_parent() -> None:
    """A worker whose supervisor was killed would hold its socket and its shard against the next start."""
    parent = multiprocessing.parent_process()
    if parent:
        loop = asyncio.get_running_loop()

        def stop() -> None:
            loop.remove_reader(parent.sentinel)
            logger.critical("the supervisor is gone, this worker stops too")
            _stop()

        loop.add_reader(parent.sentinel, stop)
