"""The composition root: builds one worker's application from the settings. The only module that knows everything."""

import asyncio
import contextlib
import gc
import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from starlette.routing import Route, Router

from collector.adoption import adopt_orphans
from collector.config import Settings
from collector.dead_letters import DeadLetters
from collector.ingest.route import EventEndpoint, not_found
from collector.ingest.session import Sessions
from collector.registry import Registry
from collector.secret import load_secret
from collector.shard import Shard, first_free, open_log
from wal.committer import Committer
from wal.errors import LogPoisoned, WalError
from wal.log import NO_ROOM, now_ms

PATHS: Final = ("/event", "/")
STARTUP_FAILURE: Final = 3
"""The exit code at which uvicorn stops all workers rather than start this one again: a restart would fail alike."""
FULL_DISK: Final = 1
"""The exit code at which the supervisor tries again until there is room, while the other workers go on."""

logger = logging.getLogger(__name__)


def create_app(settings: Settings) -> Router:
    """Open a shard and build the application on it. Runs inside the worker's event loop.

    Exits with a line that says why where the shard can't be opened: with FULL_DISK, to be tried again, or with
    STARTUP_FAILURE.
    """
    try:
        name, log = first_free(settings)
        dead_log = open_log(settings, os.path.join(settings.dead_letters.dir, name))
    except (WalError, OSError) as error:
        logger.critical("%s", error)
        is_full = isinstance(error, OSError) and error.errno in NO_ROOM
        sys.exit(FULL_DISK if is_full else STARTUP_FAILURE)
    shard = Shard(settings, log, _stop_for_recovery)
    dead_committer = Committer(dead_log)
    endpoint = EventEndpoint(
        registry=Registry(settings.property),
        committer=shard.committer,
        dead_letters=DeadLetters(dead_committer, settings.dead_letters.bytes_per_hour, now_ms),
        sessions=Sessions(load_secret(settings), settings.session.timeout_seconds),
        limits=settings.limits,
        clock=now_ms,
    )

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        shard.start()
        adoption = asyncio.create_task(adopt_orphans(settings))
        _stop_with_parent()
        gc.collect()
        gc.freeze()  # what lives for ever is not looked at by each collection
        try:
            yield
        finally:
            adoption.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await adoption
            await shard.close(settings.server.grace_seconds)
            await _close(dead_committer)

    routes = [Route(path, endpoint) for path in PATHS]
    return Router(routes, default=not_found, lifespan=lifespan, redirect_slashes=False)


async def _close(committer: Committer) -> None:
    try:
        await committer.close()
    except WalError as error:
        logger.warning("at the close of a log: %s", error)
    committer.log.close()


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _stop_for_recovery(fault: LogPoisoned) -> None:
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
