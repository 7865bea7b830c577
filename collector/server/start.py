"""The start of `collector serve`: the secret, the listening socket, the limit of open files, and warnings."""

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack
from functools import partial

import msgspec

from collector.errors import BadSettings
from collector.ops.counters import CounterBlock
from collector.process_log.of_libraries import Uncaught
from collector.process_log.of_processes import CertificateExpires, StartFailed, Starting, StartWarning
from collector.process_log.output import set_up
from collector.server.admin_process import AdminProcess
from collector.server.control import SettingsBoard
from collector.server.control_socket import serving_control
from collector.server.exit_codes import PASSING_FAILURE, STARTUP_FAILURE
from collector.server.node_state import Node
from collector.server.open_files import RESERVED_FILES, allow_files, connection_limit
from collector.server.reload import Reloader
from collector.server.supervisor import Supervisor, address_of
from collector.server.tls import certificate_warning
from collector.server.worker_process import BACKLOG, WorkerProcess
from collector.server.workers import StartWorker, Workers
from collector.settings import Settings
from collector.settings.digest import settings_digest
from collector.settings.secret import load_secret
from collector.shards.capacity import capacity_warnings
from wal import __version__
from wal.errors import PASSING, explain
from wal.log import now_ms


def serve(settings: Settings, path: str, read: Callable[[], Settings]) -> int:
    """Serve until SIGTERM or Ctrl-C; returns the exit code. `path` is the settings file, which `read` reads again."""
    set_up(settings.process_log.format, settings.process_log.level)
    try:
        return _serve(settings, path, read)
    except (BadSettings, OSError) as error:
        StartFailed(str(error)).write()
        return 1 if isinstance(error, BadSettings) else PASSING_FAILURE
    except Exception:
        Uncaught().write(exc_info=True)
        return PASSING_FAILURE  # so that the manager starts it again


def _serve(settings: Settings, path: str, read: Callable[[], Settings]) -> int:
    try:
        load_secret(settings)  # generated, or reported as unusable, before any worker needs it
    except OSError as error:
        if error.errno not in PASSING:  # else a worker generates it later, and responds with 503 until then
            StartFailed(explain(error, settings.log.dir)).write()
            return STARTUP_FAILURE
    with ExitStack() as stack:
        listener = stack.enter_context(_listen("server", settings.server.host, settings.server.port))
        admin = settings.admin
        admin_listener = stack.enter_context(_listen("admin", admin.host, admin.port)) if admin.enabled else None
        hard_limit = allow_files(settings.limits.connections)
        digest, workers = settings_digest(settings), settings.server.workers
        Starting(__version__, os.path.abspath(path), digest, workers, settings.log.dir).write()
        for warning in start_warnings(settings, hard_limit, os.geteuid()):
            StartWarning(warning).write()
        if expiry := certificate_warning(settings.server):
            CertificateExpires(expiry).write()
        return asyncio.run(_supervise(settings, hard_limit, os.path.abspath(path), read, listener, admin_listener))


def start_warnings(settings: Settings, hard_limit: int, user_id: int) -> Iterator[str]:
    """Warnings for the operator at a successful start. `hard_limit` is the hard limit of open files."""
    if user_id == 0:
        yield "running as root: a flaw in the collector could harm the whole machine; run it as a user of its own"
    if not settings.property:
        yield "no [[property]] in the settings: every event is refused with 404; add one and run `collector reload`"
    if not settings.sink:
        yield "no [[sink]] in the settings: events stay in the log, undelivered; add one and run `collector reload`"
    yield from capacity_warnings(settings)
    configured = settings.limits.connections
    if (connections := connection_limit(configured, hard_limit)) < configured:
        yield (
            f"limits.connections is {configured}, but the hard limit of open files (RLIMIT_NOFILE) is {hard_limit}: "
            f"a worker holds at most {connections} connections; raise that limit to {configured + RESERVED_FILES} or "
            "more"
        )


async def _supervise(
    settings: Settings,
    hard_limit: int,
    config: str,
    read: Callable[[], Settings],
    listener: socket.socket,
    admin_listener: socket.socket | None,
) -> int:
    # one more than workers, so that a worker can start before the one that it replaces has ended
    counters = tuple(CounterBlock.create() for _ in range(settings.server.workers + 1))
    free, board = list(counters), SettingsBoard()
    admin = AdminProcess(settings, config, admin_listener, counters) if admin_listener else None

    def for_workers(settings: Settings) -> Settings:
        return _with_connection_limit(settings, hard_limit)

    def start_with(settings: Settings) -> StartWorker:
        allow_files(settings.limits.connections)
        return partial(WorkerProcess, for_workers(settings), listener, board, free)

    def accept(settings: Settings) -> None:
        supervisor.server = settings.server
        set_up(settings.process_log.format, settings.process_log.level)
        if admin:
            admin.renew(settings)

    node = Node(settings.server.workers, now_ms(), admin.publish if admin else lambda _: None)
    workers = Workers(start_with(settings), settings.server.workers, node)
    address = address_of(admin_listener) if admin_listener else None
    supervisor = Supervisor(workers, node, settings.server, listener, admin_address=address)
    reloader = Reloader(
        settings,
        config,
        read=read,
        for_workers=for_workers,
        start_with=start_with,
        on_accepted=accept,
        workers=workers,
        node=node,
        board=board,
    )
    supervisor.reload, supervisor.end_reload = reloader.reload, reloader.end
    control = serving_control(settings.log.dir, config, reloader.reload)
    return await _run_beside(supervisor, control, *([admin.running()] if admin else []))


async def _run_beside(supervisor: Supervisor, *others: AbstractAsyncContextManager[None]) -> int:
    """Run the supervisor; the others end after it, the last one first."""
    async with AsyncExitStack() as stack:
        for other in others:
            await stack.enter_async_context(other)
        return await supervisor.run()


def _with_connection_limit(settings: Settings, hard_limit: int) -> Settings:
    connections = connection_limit(settings.limits.connections, hard_limit)
    return msgspec.structs.replace(settings, limits=msgspec.structs.replace(settings.limits, connections=connections))


def _listen(table: str, host: str, port: int) -> socket.socket:
    """A listening socket. Clients that connect before the workers are ready wait in its backlog.

    Raises BadSettings if this user may not listen there or the host has no such address, OSError for what may pass.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while attempting")[0]
        is_lasting = isinstance(error, socket.gaierror) and error.errno != socket.EAI_AGAIN
        failure = BadSettings if is_lasting or error.errno in (errno.EACCES, errno.EPERM) else OSError
        raise failure(f"can't listen on {host} port {port}: {reason}; see {table}.host and {table}.port") from None
