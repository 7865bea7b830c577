"""A collector that is confined as the systemd unit, the image and the pod confine it, by the kernel's own means.

Only its data folder can be written, it has no capabilities, and no memory is ever writable and executable. strace
reports each system call that the unit does not allow.
"""

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from bench.processes import started
from tests.running import PATIENCE_SECONDS, PROGRAMS, Collector, eventually

_DENY_WRITE_EXECUTE = (
    "import ctypes, os, sys; "
    "assert ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0, 'PR_SET_MDWE'; "
    "os.execv(sys.argv[1], sys.argv[1:])"
)
_CONFINE = """
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
mount -o remount,bind,ro /
mount -o remount,bind,ro /dev/shm
shift
exec setpriv --bounding-set=-all --inh-caps=-all --no-new-privs -- "$@"
"""


_OF_ROOT = "fchown"
"""SQLite gives its journal the owner of the database where it runs as root, which the service never does."""


def missing() -> str:
    """Why nothing can be confined here; empty if it can."""
    if os.geteuid() != 0:
        return "only root can make a file system read-only"
    for program in ("unshare", "setpriv", "strace", "systemd-analyze"):
        if not shutil.which(program):
            return f"{program} is not installed; .ci/run installs it"
    if ctypes.CDLL(None).prctl(66, 0, 0, 0, 0) < 0:  # PR_GET_MDWE
        return "the kernel is older than 6.3, which brought PR_SET_MDWE"
    return ""


def allowed_calls() -> set[str]:
    """The system calls of the unit's SystemCallFilter."""
    return _calls_of("@system-service") - _calls_of("@privileged")


def _calls_of(group: str) -> set[str]:
    printed = subprocess.run(
        ["systemd-analyze", "syscall-filter", group], check=True, capture_output=True, text=True
    ).stdout
    names = {line.strip() for line in printed.splitlines() if line.startswith("    ") and "#" not in line}
    return {name for name in names if not name.startswith("@")}.union(
        *(_calls_of(name) for name in names if name.startswith("@"))
    )


def confined_command(folder: Path, forbidden_calls: Path, *command: str) -> list[str]:
    """The command, confined so that it can write in `folder` alone.

    `forbidden_calls`, in `folder`, gets a line for each system call that the unit does not allow.
    """
    names = ",".join(f"?{name}" for name in sorted(allowed_calls() | {_OF_ROOT}))
    return [
        *("unshare", "--mount", "sh", "-c", _CONFINE, "sh", str(folder)),
        *("strace", "-f", "--seccomp-bpf", "-qq", "-o", str(forbidden_calls), "-e", f"trace=!{names}"),
        *("-e", "signal=none", sys.executable, "-c", _DENY_WRITE_EXECUTE),
        *command,
    ]


@contextmanager
def confined_collector(collector: Collector, forbidden_calls: Path) -> Iterator[None]:
    """Serve the settings of this collector, confined; at the end it is told to stop, and must return 0."""
    settings = str(collector.folder / "collector.toml")
    serve = (sys.executable, str(PROGRAMS / "collector"), "serve", "--config", settings)
    log = collector.folder / "stderr.log"
    with (
        log.open("wb") as stderr,
        started(confined_command(collector.folder, forbidden_calls, *serve), stderr=stderr, cwd="/") as process,
    ):

        def serves() -> bool:
            assert process.poll() is None, collector.stderr
            return " ready: serving on http://" in collector.stderr

        eventually(serves, "the confined collector serves")
        yield
        (supervisor,) = psutil.Process(process.pid).children()  # the process itself is strace, which takes no SIGTERM
        supervisor.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0, collector.stderr
