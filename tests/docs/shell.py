"""One shell for a page: its console blocks run in order in one folder, and their output is compared with the page's."""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.running import PROGRAMS, WRITE_KEYS, eventually

_READERS = (
    "find ",
    "wal ",
    "collector sink ls",
    "collector dead ls",
    "collector relay ls",
    "cat ",
    "ls ",
    "collector audit",
)
"""Commands that change nothing: they run again until they print what the page shows."""
_KILL = "kill -KILL "
_PATIENCE_SECONDS = 40.0
_NOISE = re.compile(r"^.*running as root.*\n?|bash: line \d+: +\d+ Killed.*\n?", re.MULTILINE)
"""The warning that test machines get, and bash's word on a killed job, which may follow on the same line."""
_ALIKE = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d([.,]\d+)?Z?"), "<time>"),
    (re.compile(r"date=\d{4}-\d\d-\d\d/hour=\d\d"), "<hour>"),
    (re.compile(r"\b(?:[0-9a-f]{16}|\d{10,19})\b"), "<id>"),
    (re.compile(r"\b\d+:\d\d:\d\d\b"), "<duration>"),
    (re.compile(r"\[\d+\]"), "[<pid>]"),
    (re.compile(r"[ \t]+"), " "),
)
"""What differs from run to run: times, folders of an hour, ids and long numbers, durations, pids, and padding.

An id of 16 hexadecimal digits may hold decimal ones alone, so it and a long number have one name."""


class Shell:
    """A bash in a folder. Use `shell`, which ends all that it started."""

    def __init__(self, folder: Path, admin_port: str) -> None:
        self._folder = folder
        self._output = folder / ".output"
        self._jobs = 0
        self._number = 0
        environment = (
            os.environ
            | WRITE_KEYS
            | {"PATH": f"{PROGRAMS}:{os.environ['PATH']}", "COLUMNS": "100", "TRACKLOG_ADMIN__PORT": admin_port}
            | {"TRACKLOG_DEDUP__BYTES": str(16 << 20)}
            | {"PYTHONUNBUFFERED": "1"}  # else stderr comes before stdout, which it does not on a terminal
        )
        with self._output.open("ab") as output:
            self.process = subprocess.Popen(
                ["bash", "--norc"], cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=output, stderr=output
            )
        self.run("set -m")

    def run(self, command: str) -> str:
        """Run a command; returns what it printed."""
        self._number += 1
        mark, begin = f"<done {self._number}>", self._output.stat().st_size
        assert self.process.stdin
        self.process.stdin.write(f"{command}\nprintf '\\n{mark}\\n'\n".encode())
        self.process.stdin.flush()
        eventually(lambda: f"\n{mark}\n" in self._since(begin), f"the end of `{command}`; so far: {self._since(begin)}")
        return self._since(begin).partition(f"\n{mark}\n")[0]

    def check(self, command: str, expected: str) -> None:
        """Run a command, and compare its output."""
        if command.endswith("&"):
            printed = self._start(command.removesuffix("&"), expected)
        elif command.startswith(_KILL):
            printed = self._kill(command)
        else:
            printed = self._printed(command, expected)
        assert is_like(printed, expected), f"$ {command}\n{printed}\n--- but the page shows\n{expected}"

    def _start(self, command: str, expected: str) -> str:
        """Start a job; returns what it has printed once that is what the page shows."""
        self._jobs += 1
        path = self._folder / f".job-{self._jobs}"
        self.run(f"{command} >{path.name} 2>&1 &")
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not is_like(path.read_text() if path.exists() else "", expected) and time.monotonic() < deadline:
            time.sleep(0.02)
        return path.read_text()

    def _kill(self, command: str) -> str:
        """Kill a job, and wait until all its processes are gone, as they are when a reader types the next command."""
        group = int(self.run(f"jobs -p {command.removeprefix(_KILL)}"))
        printed = self.run(command)
        eventually(lambda: not _lives(group), f"the end of what `{command}` killed")
        return printed

    def _printed(self, command: str, expected: str) -> str:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        printed = self.run(command)
        while command.startswith(_READERS) and not is_like(printed, expected) and time.monotonic() < deadline:
            time.sleep(0.1)
            printed = self.run(command)
        return printed

    def _since(self, begin: int) -> str:
        with self._output.open("rb") as output:
            output.seek(begin)
            return output.read().decode(errors="replace")


@contextmanager
def shell(folder: Path, admin_port: str) -> Iterator[Shell]:
    """A shell, whose collectors have this admin port; at the end it and all that it started is killed."""
    started = Shell(folder, admin_port)
    try:
        yield started
    finally:
        for child in psutil.Process(started.process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                child.kill()
        started.process.kill()
        started.process.communicate()


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def is_like(printed: str, expected: str) -> bool:
    """Whether an output is the shown one, in which `…` stands for anything."""
    pattern = re.escape(_alike(expected)).replace("…", ".*?")
    return re.fullmatch(pattern, _alike(printed), re.DOTALL) is not None


def _alike(text: str) -> str:
    text = _NOISE.sub("", text)
    for pattern, name in _ALIKE:
        text = pattern.sub(name, text)
    return "\n".join(line.strip() for line in text.strip().splitlines())
