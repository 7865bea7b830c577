"""The composition root: builds one worker's application from the settings. The only module that knows everything."""

import asyncio
import contextlib
import gc
import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from ipaddress import ip_network
from typing import Any, Final

from starlette.routing import Route, Router

from collector.adoption import adopt_orphans
from collector.config import EVENT_PATHS, OPENAPI_PATH, RELAY_PATH, Settings
from collector.dead_letters import DeadLetters, HourlyBudget
from collector.graveyard import SinkLetters
from collector.ingest.connection import STATE, Connections
from collector.ingest.direct import Direct
from collector.ingest.intake import Intake
from collector.ingest.openapi import openapi
from collector.ingest.redirect import Signer
from collector.ingest.relay import RelayEndpoint
from collector.ingest.route import Document, EventEndpoint, not_found
from collector.ingest.session import Sessions
from collector.ingest.target import Targets
from collector.registry import Registry, key_digest
from collector.relays import Relays
from collector.secret import load_secret
from collector.shard import Shard, drop_dead_letters_forever, first_free, open_log
from wal.committer import Committer
from wal.errors import WalError
from wal.log import NO_ROOM, now_ms

STARTUP_FAILURE: Final = 3
"""The exit code at which uvicorn stops all workers rather than start this one again: a restart would fail alike."""
FULL_DISK: Final = 1
"""The exit code at which the supervisor tries again until there is room, while the other workers go on."""

_THREADS: Final = 64
_SWITCH_SECONDS: Final = 0.0005
"""How long a thread that ships may keep the event loop from the interpreter, ten times as often as Python has it."""
_NICENESS: Final = 10
"""Threads that ship get a tenth of a core that requests want whole: without, they take half, 3 ms at a time."""

logger = logging.getLogger(__name__)


def create_app(settings: Settings, clock: Callable[[], int] = now_ms) -> Direct:
    """Open a shard and build the application on it. Runs inside the worker's event loop; `clock` gives Unix ms.

    Exits with a line that says why where the shard can't be opened: with FULL_DISK, to be tried again, or with
    STARTUP_FAILURE.
    """
    try:
        name, log = first_free(settings)
        dead_committer = Committer(open_log(settings, os.path.join(settings.dead_letters.dir, name)))
        budget = HourlyBudget(settings.dead_letters.bytes_per_hour, len(settings.property), clock)
        dead_letters = DeadLetters(dead_committer, budget)
        graveyard = SinkLetters(dead_letters, settings.dead_letters.dir)
        shard = Shard(settings, log, graveyard, _stop_for_recovery)
    except (WalError, OSError) as error:
        logger.critical("%s", error)
        is_full = isinstance(error, OSError) and error.errno in NO_ROOM
        sys.exit(FULL_DISK if is_full else STARTUP_FAILURE)

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[dict[str, Any]]:
        # A thread for whatever may block at a time: no sink that hangs keeps another one from its thread.
        # On Linux `nice` is of the thread that calls it.
        threads = ThreadPoolExecutor(_THREADS, "blocking", initializer=os.nice, initargs=(_NICENESS,))
        asyncio.get_running_loop().set_default_executor(threads)
        shard.start()
        tasks = [
            asyncio.create_task(adopt_orphans(settings, graveyard)),
            asyncio.create_task(drop_dead_letters_forever(settings, dead_committer)),
        ]
        connections = Connections(settings.limits, direct.begins)
        _stop_with_parent()
        sys.setswitchinterval(_SWITCH_SECONDS)
        gc.collect()
        gc.freeze()  # what lives for ever is not looked at by each collection
        try:
            yield {STATE: connections}
        finally:
            connections.close()
            for task in tasks:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await shard.close(settings.server.grace_seconds)
            await _close(dead_committer)

    endpoint = _endpoint(settings, shard, dead_letters, clock)
    paths = (*EVENT_PATHS, *([settings.server.alias] if settings.server.alias else []))
    routes = [*(Route(path, endpoint) for path in paths), *_other_routes(settings, shard, paths, clock)]
    router = Router(routes, default=not_found, lifespan=lifespan, redirect_slashes=False)
    direct = Direct(dict.fromkeys(paths, endpoint), router)  # what `lifespan` gives to connections
    return direct


def _other_routes(
    settings: Settings, shard: Shard, paths: tuple[str, ...], clock: Callable[[], int]
) -> Iterator[Route]:
    yield Route(OPENAPI_PATH, Document(openapi(paths, settings)))
    if keys := settings.server.relay_keys:
        digests = tuple(key_digest("server.relay_keys", key) for key in keys)
        relays = Relays(settings.log.dir, shard.committer, digests, clock=clock)
        yield Route(RELAY_PATH, RelayEndpoint(relays=relays, key_digests=digests, limits=settings.limits))


def _endpoint(settings: Settings, shard: Shard, dead_letters: DeadLetters, clock: Callable[[], int]) -> EventEndpoint:
    secret = load_secret(settings)
    intake = Intake(
        committer=shard.committer,
        dead_letters=dead_letters,
        sessions=Sessions(secret, settings.session.timeout_seconds),
        limits=settings.limits,
        confirmations=shard.confirmations(),
        clock=clock,
    )
    return EventEndpoint(
        targets=Targets(Registry(settings.property, settings.server.workers), Signer(secret), clock),
        intake=intake,
        limits=settings.limits,
        trusted_proxies=tuple(ip_network(network) for network in settings.server.trusted_proxies),
    )


async def _close(committer: Committer) -> None:
    try:
        await committer.close()
    except WalError as error:
        logger.warning("at the close of a log: %s", error)
    committer.log.close()


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


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
