"""Processes that tests start: none lives longer than its test, whatever fails in between."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from typing import Any

import psutil


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
