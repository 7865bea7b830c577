"""A server under test as a process of its own, which can be killed and started again on the same port."""

import subprocess
import sys
from pathlib import Path

from bench.processes import end, free_port, is_connectable
from tests.running import eventually

_ROOT = Path(__file__).parents[2]


class Child:
    """`python -m MODULE PORT PATH`, from its construction until `kill`."""

    def __init__(self, module: str, path: Path) -> None:
        self.port = free_port()
        self.path = path
        self._command = [sys.executable, "-m", module, str(self.port), str(path)]
        self.start()

    def start(self) -> None:
        """Start it, and return once it listens."""
        self._process = subprocess.Popen(self._command, cwd=_ROOT, start_new_session=True)
        try:
            eventually(lambda: self._process.poll() is not None or is_connectable(self.port), "the server listens")
            assert self._process.poll() is None, "the server ended at once"
        except BaseException:
            end(self._process)
            raise

    def kill(self) -> None:
        """SIGKILL, and return once its port is free. Killing it twice is no fault."""
        end(self._process)
        eventually(lambda: not is_connectable(self.port), "the killed server's socket is gone")
