"""Servers under test: started on one core, measured in CPU seconds, stopped at the end."""

import os
import re
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final, NamedTuple

import psutil

from bench import BenchError
from bench.processes import end, free_port, is_worker

SERVER_CORE = 0
LOAD_CORE = 1
_CONFIG = """
[server]
port = 0
workers = {workers}
{server}
[admin]
{admin}
[log]
dir = "log"
retain_hours = {retain_hours}
[dead_letters]
dir = "dead"
{dead_letters}
{properties}
{sections}
{sinks}
"""
_PROPERTY = '[[property]]\nportal_id = 33167\nprop_id = {}\nredirect_hosts = ["shop.example.com"]\n'
PROP_ID = 564990801
_NONE: Final[Mapping[str, str]] = {}
CONSOLE_FOLDER: Final = "TRACKLOG_BENCH_FOLDER"
"""The variable that names the folder of `bench.console`."""
FILE_SINK = """
[[sink]]
type = "file"
dir = "events"
"""
"""As the demo configuration has it."""
EVERY_REFUSAL: Final = "rejects_per_second = 1e9"
"""Of a property: each refused event goes all the way to the dead letters; by default most would get 429 instead."""
EVERY_LETTER: Final = "bytes_per_hour = 1_000_000_000_000"
"""Of the dead letters: they have room for all that is refused."""


class Server(NamedTuple):
    """A server under test: its port, the processes that serve, and the folder of its settings and its data."""

    port: int
    workers: list[psutil.Process]
    folder: Path = Path()

    @property
    def cpu_seconds(self) -> float:
        """CPU time of the workers so far, user and system, all their threads."""
        return float(sum(times.user + times.system for times in (each.cpu_times() for each in self.workers)))

    @property
    def mib(self) -> float:
        """Memory of the workers now, in MiB."""
        return float(sum(each.memory_info().rss for each in self.workers)) / (1 << 20)


@contextmanager
def collector(
    folder: Path | None = None,
    *,
    workers: int = 1,
    sinks: str = FILE_SINK,
    retain_hours: float = 24.0,
    properties: Sequence[int] = (PROP_ID,),
    cores: Sequence[int] = (SERVER_CORE,),
    under: Sequence[str] = (),
    server: str = "",
    dead_letters: str = "",
    of_property: str = "",
    sections: str = "",
    admin: str = "enabled = false",
    environment: Mapping[str, str] = _NONE,
) -> Iterator[Server]:
    """A collector with fsync and these sinks, below `folder`, or with an empty log in a folder that is deleted after.

    `under` is a command that runs it. `server`, `dead_letters` and `of_property` are further lines of these sections of
    its settings, `admin` are the lines of this section, `sections` are further sections.
    """
    with ExitStack() as stack:
        folder = folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        config = _CONFIG.format(
            workers=workers,
            sinks=sinks,
            retain_hours=retain_hours,
            server=server,
            dead_letters=dead_letters,
            properties="".join(f"{_PROPERTY.format(each)}{of_property}\n" for each in properties),
            sections=sections,
            admin=admin,
        )
        (folder / "collector.toml").write_text(config)
        program = Path(sys.executable).parent / "collector"
        command = [*under, str(program), "serve", "--config", str(folder / "collector.toml")]
        process, printed = stack.enter_context(_running(command, cores, environment))
        port = _port_printed(process, printed)
        yield Server(port, [each for each in process.children(recursive=True) if is_worker(each)], folder)


@contextmanager
def echo(app: str = "app") -> Iterator[Server]:
    """One of the references in `bench.echo`, with the same event loop, parser and options."""
    port = free_port()
    options = f"--port {port} --loop uvloop --http httptools --ws none --lifespan off --no-access-log"
    quiet = "--no-proxy-headers --no-server-header --no-date-header --log-level warning"
    command = [sys.executable, "-m", "uvicorn", f"bench.echo:{app}", *options.split(), *quiet.split()]
    with _running(command, (SERVER_CORE,), _NONE) as (process, _):
        _wait(port)
        yield Server(port, [process])


@contextmanager
def console(folder: Path) -> Iterator[Server]:
    """The console's stream of the logs below `folder`, with the priority of the admin process."""
    port = free_port()
    options = f"--factory --port {port} --loop uvloop --http httptools --ws none --lifespan off --log-level error"
    command = ["nice", "-n", "10", sys.executable, "-m", "uvicorn", "bench.console:app", *options.split()]
    with _running(command, (SERVER_CORE,), {CONSOLE_FOLDER: str(folder)}) as (process, _):
        _wait(port)
        yield Server(port, [process])


def why_too_few_cores() -> str:
    """The reason why server and load would have to share a core; empty if they don't."""
    return "" if (os.cpu_count() or 1) > LOAD_CORE else "two cores are needed, one for the server and one for the load"


@contextmanager
def _running(
    command: list[str], cores: Sequence[int], environment: Mapping[str, str]
) -> Iterator[tuple[psutil.Popen, IO[str]]]:
    """A command on these cores, and the file of its stderr, in a group of its own, of which nothing is left at the end.

    Its innermost process gets SIGTERM, since tracers keep it to themselves.
    """
    pinned = ["taskset", "-c", ",".join(map(str, cores)), *command]
    with tempfile.NamedTemporaryFile("w+") as printed:
        process = psutil.Popen(pinned, stderr=printed, start_new_session=True, env=os.environ | environment)
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
        if found := re.search(r" ready: serving on http://127\.0\.0\.1:(\d+) ", said):
            return int(found[1])
        if process.poll() is not None or time.monotonic() > deadline:
            raise BenchError(f"the collector does not serve:\n{said}")
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
