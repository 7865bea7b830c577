"""Servers under test: started on one core, measured in CPU seconds, stopped at the end."""

import os
import re
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import psutil

from bench.processes import end, free_port

SERVER_CORE = 0
LOAD_CORE = 1
_CONFIG = """
[server]
port = 0
workers = {workers}
{server}
[log]
dir = "log"
retain_hours = {retain_hours}
[dead_letters]
dir = "dead"
{dead_letters}
{properties}
{sinks}
"""
_PROPERTY = '[[property]]\nportal_id = 33167\nprop_id = {}\nredirect_hosts = ["shop.example.com"]\n'
PROP_ID = 564990801
FILE_SINK = """
[[sink]]
type = "file"
dir = "events"
"""
"""As the demo configuration has it."""


class Server(NamedTuple):
    """A server under test: its port, and the processes that serve."""

    port: int
    workers: list[psutil.Process]


@contextmanager
def collector(
    folder: Path,
    workers: int = 1,
    *,
    sinks: str = FILE_SINK,
    retain_hours: float = 24.0,
    properties: Sequence[int] = (PROP_ID,),
    cores: Sequence[int] = (SERVER_CORE,),
    under: Sequence[str] = (),
    server: str = "",
    dead_letters: str = "",
    of_property: str = "",
) -> Iterator[Server]:
    """A collector with fsync and these sinks, below `folder`; `under` is a command that runs it.

    `server`, `dead_letters` and `of_property` are further lines of these sections of its settings.
    """
    config = _CONFIG.format(
        workers=workers,
        sinks=sinks,
        retain_hours=retain_hours,
        server=server,
        dead_letters=dead_letters,
        properties="".join(f"{_PROPERTY.format(each)}{of_property}\n" for each in properties),
    )
    (folder / "collector.toml").write_text(config)
    program = Path(sys.executable).parent / "collector"
    command = [*under, str(program), "serve", "--config", str(folder / "collector.toml")]
    with _running(command, cores) as (process, printed):
        port = _port_printed(process, printed)
        # the supervisor's other child is multiprocessing's resource tracker
        family = process.children(recursive=True)
        yield Server(port, [each for each in family if "spawn_main" in " ".join(each.cmdline())])


@contextmanager
def echo(app: str = "app") -> Iterator[Server]:
    """One of the references in `bench.echo`, with the same event loop, parser and options."""
    port = free_port()
    options = f"--port {port} --loop uvloop --http httptools --ws none --lifespan off --no-access-log"
    quiet = "--no-proxy-headers --no-server-header --no-date-header --log-level warning"
    command = [sys.executable, "-m", "uvicorn", f"bench.echo:{app}", *options.split(), *quiet.split()]
    with _running(command, (SERVER_CORE,)) as (process, _):
        _wait(port)
        yield Server(port, [process])


def cpu_seconds(*processes: psutil.Process) -> float:
    """CPU time of processes so far, user and system, all their threads."""
    times = [process.cpu_times() for process in processes]
    return float(sum(each.user + each.system for each in times))


def mib(*processes: psutil.Process) -> float:
    """Memory that processes have, in MiB."""
    return float(sum(process.memory_info().rss for process in processes)) / (1 << 20)


@contextmanager
def _running(command: list[str], cores: Sequence[int]) -> Iterator[tuple[psutil.Popen, IO[str]]]:
    """A command on these cores, and the file of its stderr, in a group of its own, of which nothing is left at the end.

    Its innermost process gets SIGTERM, since tracers keep it to themselves.
    """
    pinned = ["taskset", "-c", ",".join(map(str, cores)), *command]
    with tempfile.NamedTemporaryFile("w+") as printed:
        process = psutil.Popen(pinned, stderr=printed, start_new_session=True)
        try:
            yield process, printed
            traced = process.children() if command[0] == "strace" else [process]
            for each in traced:
                each.send_signal(signal.SIGTERM)
            process.wait()
        finally:
            end(process)


def _port_printed(process: psutil.Popen, printed: IO[str], seconds: float = 60.0) -> int:
    """The port that the collector prints once all its workers serve."""
    deadline = time.monotonic() + seconds
    while True:
        printed.seek(0)
        said = printed.read()
        if found := re.search(r"^collector: serving on http://127\.0\.0\.1:(\d+) ", said, re.MULTILINE):
            return int(found[1])
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"bench: the collector does not serve:\n{said}")
        time.sleep(0.05)


def _wait(port: int, seconds: float = 60.0) -> None:
    """Return once something answers on the port."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
                connection.sendall(b"GET /ready HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n")
                if connection.recv(1):
                    return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def check_cores() -> None:
    """Exit where server and load would have to share a core."""
    if (os.cpu_count() or 1) <= LOAD_CORE:
        sys.exit("bench: two cores are needed, one for the server and one for the load")
