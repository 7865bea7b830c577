"""Servers under test: started on one core, measured in CPU seconds, stopped at the end."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

SERVER_CORE = 0
LOAD_CORE = 1
_CONFIG = """
[server]
port = {port}
workers = {workers}
[log]
dir = "log"
retain_hours = {retain_hours}
[dead_letters]
dir = "dead"
[[property]]
portal_id = 33167
prop_id = 564990801
{sinks}
"""
FILE_SINK = """
[[sink]]
type = "file"
dir = "events"
"""
"""As the demo configuration has it."""


@contextmanager
def collector(
    folder: Path, workers: int = 1, *, sinks: str = FILE_SINK, retain_hours: float = 24.0
) -> Iterator[tuple[int, list[psutil.Process]]]:
    """A collector with fsync and these sinks, below `folder`; gives its port and its workers."""
    port = free_port()
    config = _CONFIG.format(port=port, workers=workers, sinks=sinks, retain_hours=retain_hours)
    (folder / "collector.toml").write_text(config)
    program = Path(sys.executable).parent / "collector"
    with _running([str(program), "serve", "--config", str(folder / "collector.toml")]) as process:
        _wait(port)
        # the supervisor's other child is multiprocessing's resource tracker
        yield port, [each for each in process.children() if "spawn_main" in " ".join(each.cmdline())]


@contextmanager
def echo() -> Iterator[tuple[int, list[psutil.Process]]]:
    """The reference with the same event loop, parser and options."""
    port = free_port()
    options = f"--port {port} --loop uvloop --http httptools --ws none --lifespan off --no-access-log"
    quiet = "--no-proxy-headers --no-server-header --no-date-header --log-level warning"
    with _running([sys.executable, "-m", "uvicorn", "bench.echo:app", *options.split(), *quiet.split()]) as process:
        _wait(port)
        yield port, [process]


def cpu_seconds(process: psutil.Process) -> float:
    """CPU time of a process so far, user and system, all its threads."""
    times = process.cpu_times()
    return float(times.user + times.system)


@contextmanager
def _running(command: list[str]) -> Iterator[psutil.Process]:
    process = subprocess.Popen(["taskset", "-c", str(SERVER_CORE), *command], stderr=subprocess.DEVNULL)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _wait(port: int, seconds: float = 20.0) -> None:
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
