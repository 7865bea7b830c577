"""The processes of `collector serve`: a supervisor that binds the socket, and uvicorn workers that share it."""

import logging
import os
import resource
import socket
import sys
from functools import partial
from typing import Any, Final

import uvicorn
from uvicorn.supervisors import Multiprocess

from collector.app import STARTUP_FAILURE, create_app
from collector.config import Settings
from collector.errors import BadSettings
from collector.ingest.connection import Connection
from collector.registry import Registry, key_digest
from collector.secret import load_secret
from collector.shard import retention_warning
from collector.ship.sinks import sink_of
from wal.errors import PASSING, explain

_BACKLOG: Final = 2048
_OTHER_FILES: Final = 256
_KEEP_ALIVE_SECONDS: Final = 75
"""Longer than load balancers keep idle connections, so that they are the ones to close."""


class _FirstHand(logging.Filter):
    """Drops uvicorn's line about a worker that could not start: the last line is to be the worker's, which says why."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is kept."""
        return "failed to start, stopping the parent process" not in record.getMessage()


LOGGING: Final[dict[str, Any]] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s [%(process)d] %(name)s: %(message)s"}},
    "filters": {"first hand": {"()": _FirstHand}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"level": "INFO", "handlers": ["stderr"]},
    # its warnings are of clients that send no HTTP: anybody could fill a disk with them
    "loggers": {"uvicorn.error": {"level": "ERROR", "filters": ["first hand"]}},
}


class _Supervisor(Multiprocess):
    """Starts workers again when they die, and at a stop lets go of the socket at once: nobody waits in its backlog."""

    def terminate_all(self) -> None:
        for listener in self.sockets:
            listener.close()
        super().terminate_all()


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or Ctrl-C; returns the exit code. Raises BadSettings."""
    try:
        load_secret(settings)  # made, or refused, before any worker needs it
    except OSError as error:
        if error.errno not in PASSING:  # else a worker makes it once it can, and answers 503 until then
            print(f"collector: {explain(error, settings.log.dir)}", file=sys.stderr)
            return STARTUP_FAILURE
    check(settings)
    _allow_files(settings.limits.connections)
    listener = _bind(settings.server.host, settings.server.port)
    server = uvicorn.Config(
        partial(create_app, settings),
        factory=True,
        workers=settings.server.workers,
        loop="uvloop",
        http=Connection,
        ws="none",
        lifespan="on",
        interface="asgi3",
        log_config=LOGGING,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.server.grace_seconds,
    )
    supervisor = _Supervisor(server, [listener])
    host, port = listener.getsockname()[:2]
    print(
        f"collector: serving on http://{f'[{host}]' if ':' in host else host}:{port} with {settings.server.workers} "
        "workers, Ctrl-C stops",
        file=sys.stderr,
        flush=True,
    )
    supervisor.run()
    failed = any(worker.exitcode == STARTUP_FAILURE for worker in supervisor.processes)
    return STARTUP_FAILURE if failed else 0


def check(settings: Settings) -> None:
    """Try what the file does not tell: the environment's keys, and what the sinks need. Raises BadSettings."""
    Registry(settings.property)
    for key in settings.server.relay_keys:
        key_digest("server.relay_keys", key)
    for sink in settings.sink:
        sink_of(sink, sink.name)
    if warning := retention_warning(settings):
        print(f"collector: {warning}", file=sys.stderr)


def _allow_files(connections: int) -> None:
    """Have the system allow as many open files as there may be connections, as far as it does without asking."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    if soft < wanted:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
        )


def _bind(host: str, port: int) -> socket.socket:
    """A socket that listens already: what connects before the workers are up waits in its backlog."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise BadSettings(f"can't listen on {host} port {port}: {reason}; see server.host and server.port") from None
