"""What tests run on: ports that nobody takes, processes that end, and Ctrl-C that arrives."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from bench.processes import free_port, is_connectable, started
from tests.running import Collector, eventually, running

_ROOT = Path(__file__).parents[2]
_ENDLESS = "import time; time.sleep(600)"
_PARENT = (
    f"import subprocess, sys, time; print(subprocess.Popen([sys.executable, '-c', {_ENDLESS!r}]).pid, flush=True);"
    + _ENDLESS
)


def test_a_free_port_is_given_to_nobody_else_and_is_there_for_the_one_that_names_it() -> None:
    port = free_port()
    assert not is_connectable(port)
    others = [socket.create_server(("127.0.0.1", 0)) for _ in range(200)]
    try:
        assert port not in [other.getsockname()[1] for other in others]
    finally:
        for other in others:
            other.close()
    for _ in range(2):  # again after it was used, as a server that is started again does
        with socket.create_server(("127.0.0.1", port)):
            assert is_connectable(port)
            with pytest.raises(OSError, match="in use"):
                socket.create_server(("127.0.0.1", port)).close()
        assert not is_connectable(port)


def test_a_process_and_its_children_end_when_a_test_fails() -> None:
    def fails() -> None:
        with started([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            pids.extend([process.pid, int(process.stdout.readline())])
            raise ZeroDivisionError

    pids: list[int] = []
    with pytest.raises(ZeroDivisionError):
        fails()
    assert len(pids) == 2
    eventually(lambda: not any(map(_lives, pids)), "both have ended")


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_collector_whose_start_fails_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[subprocess.Popen[bytes]] = []

    def never(collector: Collector, said: str) -> bool:
        begun.append(collector.process)
        raise AssertionError("never: the collector is up")

    monkeypatch.setattr(Collector, "_is_up", never)
    with pytest.raises(AssertionError, match="never"), running(tmp_path, workers=1):
        pytest.fail("it did not start")
    assert begun[0].poll() == -signal.SIGKILL


_CTRL_C = """
import signal
import subprocess
import sys

def test_ctrl_c():
    command = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == -signal.SIGINT
        finally:
            process.kill()
"""
_IGNORED = "signal.signal(signal.SIGINT, signal.SIG_IGN)"
_BLOCKED = "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})"


@pytest.mark.parametrize("state", [_IGNORED, _BLOCKED])
def test_ctrl_c_reaches_what_tests_start_also_where_the_runner_ignores_or_blocks_it(tmp_path: Path, state: str) -> None:
    (tmp_path / "test_it.py").write_text(_CTRL_C)
    (tmp_path / "conftest.py").write_text((_ROOT / "tests/conftest.py").read_text())
    pytest_ = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    program = f"import os, signal; {state}; os.execv({sys.executable!r}, {pytest_!r})"
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout
