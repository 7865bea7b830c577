"""Child processes: none lives longer than the block that started it, whatever fails in between; and free ports."""

import atexit
import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from typing import Any

import psutil

from collector.server.admin_process import PROCESS_NAME


@contextlib.contextmanager
def started(command: Sequence[str], **options: Any) -> Iterator["subprocess.Popen[Any]"]:
    """A process in a group of its own; at the end the whole group is killed. `options` are those of Popen."""
    with subprocess.Popen(command, start_new_session=True, **options) as process:
        try:
            yield process
        finally:
            end(process)


def end(process: "subprocess.Popen[Any] | psutil.Popen") -> None:
    """SIGKILL to a process that leads its group, and to all others of the group. Idempotent."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody else gets while this process lives, and that a server can be told to bind.

    A socket is bound to it and never listens: the kernel gives the port to nobody who asks for any, connections to it
    are refused, and a server that names it may bind it too, since both set SO_REUSEADDR.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    atexit.register(holder.close)
    port: int = holder.getsockname()[1]
    return port


def is_worker(child: psutil.Process) -> bool:
    """Whether a child of a supervisor is a worker: others are the admin process and multiprocessing's resource tracker.

    One that was killed may not be reaped yet.
    """
    try:
        return "spawn_main" in " ".join(child.cmdline()) and not is_admin_process(child)
    except psutil.Error:
        return False


def is_admin_process(child: psutil.Process) -> bool:
    """Whether a child of a supervisor is the admin process, and lives."""
    try:
        return bool(child.name() == PROCESS_NAME)
    except psutil.Error:
        return False


def is_connectable(port: int) -> bool:
    """Whether anything listens on the port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
