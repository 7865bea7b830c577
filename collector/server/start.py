"""The start of `collector serve`: the secret, the listening socket, the limit of open files, and warnings."""

import asyncio
import logging
import logging.config
import os
import socket
import sys
from collections.abc import Iterator
from functools import partial

import msgspec

from collector.errors import BadSettings
from collector.server.exit_codes import STARTUP_FAILURE
from collector.server.open_files import RESERVED_FILES, allow_files, connection_limit
from collector.server.process_log import LOGGING
from collector.server.supervisor import Supervisor
from collector.server.tls import certificate_warning
from collector.server.worker_process import BACKLOG, WorkerProcess
from collector.settings import Settings
from collector.settings.secret import load_secret
from collector.shards.shard import retention_warning
from wal.errors import PASSING, explain

logger = logging.getLogger(__name__)


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or Ctrl-C; returns the exit code. Raises BadSettings, OSError."""
    try:
        load_secret(settings)  # generated, or reported as unusable, before any worker needs it
    except OSError as error:
        if error.errno not in PASSING:  # else a worker generates it later, and responds with 503 until then
            print(f"collector: {explain(error, settings.log.dir)}", file=sys.stderr)
            return STARTUP_FAILURE
    with _listen(settings.server.host, settings.server.port) as listener:
        hard_limit = allow_files(settings.limits.connections)
        logging.config.dictConfig(LOGGING)
        expiry = certificate_warning(settings.server)
        for warning in (*start_warnings(settings, hard_limit, os.geteuid()), *([expiry] if expiry else [])):
            logger.warning("%s", warning)
        return asyncio.run(_supervise(_with_connection_limit(settings, hard_limit), listener))


def start_warnings(settings: Settings, hard_limit: int, user_id: int) -> Iterator[str]:
    """Warnings for the operator at a successful start. `hard_limit` is the hard limit of open files."""
    if user_id == 0:
        yield "running as root: a flaw in the collector could harm the whole machine; run it as a user of its own"
    if not settings.property:
        yield "no [[property]] in the settings: every event is refused with 404; add one and restart"
    if not settings.sink:
        yield "no [[sink]] in the settings: events stay in the log and are not delivered; add one and restart"
    if warning := retention_warning(settings):
        yield warning
    wanted = settings.limits.connections
    if (connections := connection_limit(wanted, hard_limit)) < wanted:
        yield (
            f"limits.connections is {wanted}, but the hard limit of open files (RLIMIT_NOFILE) is {hard_limit}: "
            f"a worker holds at most {connections} connections; raise that limit to {wanted + RESERVED_FILES} or more"
        )


async def _supervise(settings: Settings, listener: socket.socket) -> int:
    return await Supervisor(
        partial(WorkerProcess, settings, listener),
        workers=settings.server.workers,
        grace_seconds=settings.server.grace_seconds,
        listener=listener,
        scheme="https" if settings.server.tls_certificate else "http",
    ).run()


def _with_connection_limit(settings: Settings, hard_limit: int) -> Settings:
    connections = connection_limit(settings.limits.connections, hard_limit)
    return msgspec.structs.replace(settings, limits=msgspec.structs.replace(settings.limits, connections=connections))


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket. Clients that connect before the workers are ready wait in its backlog."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise BadSettings(f"can't listen on {host} port {port}: {reason}; see server.host and server.port") from None
