"""The processes of `collector serve`: a supervisor that binds the socket, and uvicorn workers that share it."""

import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

import msgspec
import uvicorn
from uvicorn.supervisors import Multiprocess

from collector.app import STARTUP_FAILURE, create_app
from collector.errors import BadSettings
from collector.ingest.connection import Connection
from collector.ingest.direct import Direct
from collector.settings import Settings
from collector.settings.secret import load_secret
from collector.shards.shard import retention_warning
from wal.errors import PASSING, explain

_BACKLOG: Final = 2048
_RESERVED_FILES: Final = 256
"""Open files of a worker beside its connections: segments, sinks and their clients, those that are refused with 503."""
_READY_POLL_SECONDS: Final = 0.05
_READY_TIMEOUT_SECONDS: Final = 1.0
"""A worker that imports its modules can't answer yet. The supervisor takes signals between two such waits."""
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


logger = logging.getLogger(__name__)


class _Supervisor(Multiprocess):
    """Starts the workers and restarts those that die; the process log tells of both.

    At a stop it closes the listening socket at once, so that no client waits in its backlog.
    """

    def __init__(self, config: uvicorn.Config, listener: socket.socket) -> None:
        super().__init__(config, [listener])
        self._restarts = 0

    def init_processes(self) -> None:
        """Start the workers, and print the address once all of them serve. uvicorn's `run` begins with this."""
        super().init_processes()
        while not self.should_exit.wait(_READY_POLL_SECONDS):
            self.handle_signals()
            if any(process.exitcode is not None for process in self.processes):
                self.keep_subprocess_alive()
            elif all(process.is_ready(_READY_TIMEOUT_SECONDS) for process in self.processes):
                self._print_address()
                return

    def keep_subprocess_alive(self) -> None:
        """Restart the workers that died or hang, with a line in the process log for each of them."""
        earlier = [(process, process.exitcode) for process in self.processes]
        super().keep_subprocess_alive()
        for (process, exit_code), successor in zip(earlier, self.processes, strict=True):
            if process is not successor:
                self._restarts += 1
                logger.error(
                    "worker %d died: %s; started %d in its place, restarts so far: %d",
                    process.pid,
                    _cause_of_death(process.exitcode, was_alive=exit_code is None),
                    successor.pid,
                    self._restarts,
                )

    def handle_hup(self) -> None:
        """Keep the workers: uvicorn would restart them with the settings that the supervisor read at its start."""
        logger.warning("SIGHUP: reload is not supported; restart to apply changes")

    def terminate_all(self) -> None:
        for listener in self.sockets:
            listener.close()
        super().terminate_all()

    def _print_address(self) -> None:
        host, port = self.sockets[0].getsockname()[:2]
        print(
            f"collector: serving on http://{f'[{host}]' if ':' in host else host}:{port} with {len(self.processes)} "
            "workers, Ctrl-C stops",
            file=sys.stderr,
            flush=True,
        )


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or Ctrl-C; returns the exit code. Raises BadSettings, OSError."""
    try:
        load_secret(settings)  # made, or refused, before any worker needs it
    except OSError as error:
        if error.errno not in PASSING:  # else a worker makes it once it can, and answers 503 until then
            print(f"collector: {explain(error, settings.log.dir)}", file=sys.stderr)
            return STARTUP_FAILURE
    listener = _bind(settings.server.host, settings.server.port)
    hard_limit = _allow_files(settings.limits.connections)
    connections = connection_limit(settings.limits.connections, hard_limit)
    limits = msgspec.structs.replace(settings.limits, connections=connections)
    server = uvicorn.Config(
        partial(_create_app, msgspec.structs.replace(settings, limits=limits)),
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
    for warning in start_warnings(settings, hard_limit, os.geteuid()):
        logger.warning("%s", warning)
    supervisor = _Supervisor(server, listener)
    supervisor.run()
    failed = any(worker.exitcode == STARTUP_FAILURE for worker in supervisor.processes)
    return STARTUP_FAILURE if failed else 0


def connection_limit(setting: int, hard_limit: int) -> int:
    """The connections that a worker may hold open, given the hard limit of its open files (RLIMIT_NOFILE)."""
    if hard_limit == resource.RLIM_INFINITY:
        return setting
    return min(setting, hard_limit - min(_RESERVED_FILES, hard_limit // 2))


def start_warnings(settings: Settings, hard_limit: int, user_id: int) -> Iterator[str]:
    """What an operator must know of a start that succeeds. `hard_limit` is that of open files."""
    if user_id == 0:
        yield "running as root: a fault in the collector would have all rights; run it as a user of its own"
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
            f"a worker holds at most {connections} connections; raise that limit to {wanted + _RESERVED_FILES} or more"
        )


def _create_app(settings: Settings) -> Direct:
    """The application of a worker. Runs in the worker; SIGHUP to the whole process group must not end it."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return create_app(settings)


def _cause_of_death(exit_code: int | None, *, was_alive: bool) -> str:
    """The signal or exit code of a process. `was_alive`: it still ran when the supervisor began to look."""
    if exit_code is None or exit_code >= 0:
        return f"exit code {exit_code}"
    number = -exit_code
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    if was_alive and number == signal.SIGKILL:
        return f"{name}, which the supervisor sends to a worker that does not answer it"
    return name


def _allow_files(connections: int) -> int:
    """Raise the soft limit of open files to what `connections` need, as far as the hard limit lets it; returns that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _RESERVED_FILES
    if soft < wanted:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
        )
    return hard


def _bind(host: str, port: int) -> socket.socket:
    """A socket that listens already: what connects before the workers are up waits in its backlog."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise BadSettings(f"can't listen on {host} port {port}: {reason}; see server.host and server.port") from None
