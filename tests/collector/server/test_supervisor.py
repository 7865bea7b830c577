"""The supervisor: it tells what becomes of the workers and that they serve, and stops them within one budget."""

import asyncio
import logging
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import psutil
import pytest

from bench.processes import free_port, started
from collector.process_log.event import name_of
from collector.process_log.table import event_of
from collector.server.node_state import Node, WorkerReport
from collector.server.supervisor import Supervisor
from collector.server.worker_process import WorkerProcess
from collector.server.workers import Workers
from collector.settings import ServerSettings
from tests.running import PATIENCE_SECONDS, PROGRAMS, Collector, eventually, running, workers_of
from wal.log import Log

OnReport = Callable[[WorkerReport], None]
_SERVING = " ready: serving on http://"
_STOPPING = " stopping: waiting for "
_UTC = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
_EVENT = {"ea": "view", "ec": "product", "sid": 1, "aid": "a", "uid": "u"}
_UNFINISHED = b"POST /event?portal_id=33167&prop_id=564990801 HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{"
_PORT_0 = """
[server]
port = 0
workers = 2
[admin]
enabled = false
[[property]]
portal_id = 1
prop_id = 2
[log]
dir = "{log}"
"""
_BRIEF = """
[server]
port = {port}
workers = {workers}
grace_seconds = 1
"""
_SINK_IS_AWAY = """
[server]
port = {{port}}
workers = {{workers}}
grace_seconds = 5
[[property]]
portal_id = 33167
prop_id = 564990801
[[sink]]
type = "http"
url = "http://127.0.0.1:{sink_port}/{{{{token}}}}"
"""


def _lines(collector: Collector, text: str) -> list[str]:
    return [line for line in collector.stderr.splitlines() if text in line]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_worker_that_dies_is_one_line_with_its_pid_its_signal_and_the_count_of_restarts(
    tmp_path: Path, number: signal.Signals
) -> None:
    with running(tmp_path, workers=2) as collector:
        for restarts, victim in enumerate(collector.workers(), 1):
            victim.send_signal(number)
            eventually(lambda: len(_lines(collector, " died: ")) == restarts, "the death is told")  # noqa: B023
            line = _lines(collector, " died: ")[-1]
            assert line.endswith(
                f"worker {victim.pid} died: {number.name}; restarts so far: {restarts}; starts again in 0 s"
            )
        eventually(lambda: len(collector.workers()) == 2, "there are two again")
        assert collector.stop() == 0
        assert len(_lines(collector, " died: ")) == 2, "a worker that is stopped does not die"


def test_a_worker_that_keeps_dying_waits_longer_each_time_before_it_starts_again(tmp_path: Path) -> None:
    with running(tmp_path, workers=1) as collector:
        for deaths in (1, 2, 3):
            eventually(collector.workers, "a worker is there")
            collector.workers()[0].kill()
            eventually(lambda: len(_lines(collector, " died: ")) == deaths, "the death is told")  # noqa: B023
        ends = [line.partition("restarts so far: ")[2] for line in _lines(collector, " died: ")]
        assert ends == ["1; starts again in 0 s", "2; starts again in 1 s", "3; starts again in 2 s"]
        assert collector.stop() == 0, "a stop does not wait for a worker that is not there"
        assert _lines(collector, _STOPPING) == []


def test_a_worker_that_can_never_start_again_ends_the_collector_with_a_line_and_exit_code_3(tmp_path: Path) -> None:
    with running(tmp_path, workers=2) as collector:
        (tmp_path / "data/dead").rename(tmp_path / "data/gone")
        (tmp_path / "data/dead").touch()  # in the place of a folder: no worker can start any more
        collector.workers()[0].kill()
        assert collector.process.wait(PATIENCE_SECONDS) == 3
    assert len(_lines(collector, " died: SIGKILL; restarts so far: 1; starts again in 0 s")) == 1
    last = collector.stderr.splitlines()[-1]
    assert f"CRITICAL [{last.partition('[')[2].partition(']')[0]}] start_failed: " in last
    assert f"{tmp_path}/data/dead" in last, "the last line says why"
    assert len(_lines(collector, _SERVING)) == 1


def test_the_address_is_printed_when_all_workers_serve_and_not_before(tmp_path: Path) -> None:
    log = Log(str(tmp_path / "log/00"))  # is held: the worker that finds it so takes another, and is no slower
    settings = tmp_path / "c.toml"
    settings.write_text(_PORT_0.format(log=tmp_path / "log"))
    command = [str(PROGRAMS / "collector"), "serve", "--config", str(settings)]
    try:
        with started(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr
            eventually(lambda: len(workers_of(process.pid)) == 2, "two workers are started")
            slow, other = workers_of(process.pid)
            slow.suspend()
            eventually(lambda: _has_opened_a_log(other, tmp_path), "the other one serves")
            process.send_signal(signal.SIGHUP)
            before = _read_until(process, "settings reloaded")
            assert _SERVING not in before
            slow.resume()
            line = _read_until(process, _SERVING).splitlines(keepends=True)[-1]
            assert all(_has_opened_a_log(worker, tmp_path) for worker in (slow, other))
            assert f"{_SERVING}127.0.0.1:0 " not in line
            assert line.endswith(" with 2 workers, admin address none, Ctrl-C stops\n")
    finally:
        log.close()


def _read_until(process: "subprocess.Popen[str]", text: str) -> str:
    """What it prints, up to the line that has `text`."""
    assert process.stderr
    lines = []
    for line in process.stderr:
        lines.append(line)
        if text in line:
            return "".join(lines)
    raise AssertionError("".join(lines))


def _has_opened_a_log(worker: psutil.Process, folder: Path) -> bool:
    return any(file.path.startswith(str(folder / "log")) for file in worker.open_files())


def test_a_start_that_fails_never_prints_an_address(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/log").mkdir()
    (tmp_path / "data/log/00").touch()
    collector = Collector(tmp_path, workers=1)
    with pytest.raises(AssertionError):
        collector.start()
    collector.kill()
    assert _lines(collector, _SERVING) == []


def test_a_stop_says_whom_it_waits_for(tmp_path: Path) -> None:
    with running(tmp_path, workers=2) as collector:
        assert collector.stop() == 0
    (line,) = _lines(collector, _STOPPING)
    assert re.search(f"{_STOPPING}2 workers to ship and close, until {_UTC}; Ctrl-C again ends at once$", line)
    assert re.search(
        r"INFO \[\d+\] stopped: ended after \d+\.\d s with exit code 0$", collector.stderr.splitlines()[-1]
    )


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_signal_ends_a_stop_at_once(tmp_path: Path, number: signal.Signals, exit_code: int) -> None:
    with _stopping_with_an_unfinished_request(tmp_path) as collector:
        (worker,) = collector.workers()
        assert collector.stop(number) == exit_code
        assert f": second signal: killed 1 worker ({worker.pid}); " in collector.stderr
        assert not worker.is_running()


def test_a_signal_that_comes_twice_at_once_lets_requests_end(tmp_path: Path) -> None:
    with running(tmp_path, workers=1) as collector:
        for _ in range(2):
            collector.process.send_signal(signal.SIGTERM)
        assert collector.process.wait(PATIENCE_SECONDS) == 0
        assert "second signal" not in collector.stderr


def test_a_worker_that_dies_while_it_stops_is_logged_and_not_started_again(tmp_path: Path) -> None:
    with _stopping_with_an_unfinished_request(tmp_path) as collector:
        (worker,) = collector.workers()
        worker.kill()
        assert collector.process.wait(PATIENCE_SECONDS) == 0
        assert len(_lines(collector, f"worker {worker.pid} died while it stopped: SIGKILL")) == 1
        assert _lines(collector, "starts again") == []


@contextmanager
def _stopping_with_an_unfinished_request(folder: Path) -> Iterator[Collector]:
    """A collector with one worker, which has got SIGTERM and waits for the rest of a request."""
    with running(folder, workers=1) as collector, collector.connect() as connection:
        connection.sendall(_UNFINISHED)
        assert collector.post(_EVENT).status == 200  # so it has read the other connection too, or will before it stops
        collector.process.terminate()
        eventually(lambda: _lines(collector, _STOPPING), "the stop has begun")
        time.sleep(0.5)  # a signal that comes at once counts as the same
        yield collector


def test_a_worker_that_is_late_at_a_stop_is_killed_with_a_line_that_says_so(tmp_path: Path) -> None:
    with running(tmp_path, workers=1, settings=_BRIEF) as collector:
        (worker,) = collector.workers()
        worker.suspend()
        assert collector.stop() == 0
        line = _lines(collector, ": server.grace_seconds (1) is over: ")[0]
        assert f"killed 1 worker ({worker.pid}); acknowledged events are in the log" in line


def test_a_slow_request_and_a_sink_that_is_away_fit_into_one_budget(tmp_path: Path) -> None:
    with running(tmp_path, workers=1, settings=_SINK_IS_AWAY.format(sink_port=free_port())) as collector:
        with collector.connect() as connection:
            connection.sendall(_UNFINISHED)
            assert collector.post(_EVENT).status == 200
            assert collector.stop() == 0
        assert len(_lines(collector, "1 sinks are behind; the next start goes on there")) == 1
        assert _lines(collector, "killed") == []


def test_ctrl_c_in_a_terminal_stops_workers_that_still_start_without_a_traceback(tmp_path: Path) -> None:
    Collector(tmp_path, workers=2, settings=_BRIEF)
    command = [str(PROGRAMS / "collector"), "serve", "--config", str(tmp_path / "collector.toml")]
    with started(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        eventually(lambda: len(workers_of(process.pid)) == 2, "two workers are started")
        os.killpg(process.pid, signal.SIGINT)
        stderr = process.stderr.read()
        assert process.wait(PATIENCE_SECONDS) == 0
    assert f"{_STOPPING}2 workers to ship and close, until " in stderr
    assert "Traceback" not in stderr
    assert "stopped: ended after " in stderr.splitlines()[-1]


def test_workers_never_take_the_signals_that_a_terminal_sends_to_the_whole_group(tmp_path: Path) -> None:
    with running(tmp_path, workers=2) as collector:
        for worker in collector.workers():
            for number in (signal.SIGINT, signal.SIGHUP):
                worker.send_signal(number)
            assert _pending(worker) >= {signal.SIGINT, signal.SIGHUP}


def _pending(process: psutil.Process) -> set[signal.Signals]:
    """The signals that were sent to a process, and that it has blocked."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    mask = int(status.partition("ShdPnd:")[2].split()[0], 16)
    return {number for number in signal.Signals if mask >> (number - 1) & 1}


def _supervised(start_worker: Callable[[OnReport], WorkerProcess]) -> int:
    """Run a supervisor of one place in this process; returns its exit code."""

    async def run() -> int:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            node = Node(1, 0, lambda _: None)
            workers = Workers(start_worker, 1, node)
            return await Supervisor(workers, node, ServerSettings(grace_seconds=5), listener).run()

    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        return asyncio.run(run())
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


class _ReadyAtItsEnd:
    """A worker that was starting when it was told to stop: it gets ready, and then ends."""

    def __init__(self, on_report: OnReport) -> None:
        self.pid = 1
        self.exit_code: int | None = None
        self.is_ready = False
        self.report: WorkerReport | None = None
        self._on_report = on_report
        self._ended = asyncio.Event()

    async def wait(self) -> int:
        await self._ended.wait()
        return 0

    def stop(self, deadline: float) -> None:
        asyncio.get_running_loop().call_soon(self._end)

    def kill(self) -> None:
        assert self.exit_code == 0, "it ends by itself"

    def _end(self) -> None:
        self.is_ready = True
        self._on_report(WorkerReport("00", None))
        self.exit_code = 0
        self._ended.set()


def test_the_address_is_not_printed_by_a_stop_that_comes_before_the_workers_are_ready(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)

    def start_worker(on_report: OnReport) -> WorkerProcess:
        signal.raise_signal(signal.SIGTERM)
        return cast(WorkerProcess, _ReadyAtItsEnd(on_report))

    assert _supervised(start_worker) == 0
    assert [name_of(type(event_of(record))) for record in caplog.records] == ["stopping", "stopped"]
    assert "waiting for 1 worker to ship" in caplog.messages[0]


def test_a_worker_for_which_there_is_no_process_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    attempts: list[int] = []

    def start_worker(on_report: OnReport) -> WorkerProcess:
        attempts.append(len(attempts))
        if len(attempts) == 2:
            signal.raise_signal(signal.SIGTERM)
        raise BlockingIOError(11, "Resource temporarily unavailable")

    with caplog.at_level(logging.ERROR):
        assert _supervised(start_worker) == 0
    assert caplog.messages[0] == (
        "a worker could not be started: Resource temporarily unavailable; restarts so far: 1; starts again in 0 s"
    )
    assert caplog.messages[1].endswith("restarts so far: 2; starts again in 1 s")


def test_a_bug_in_the_supervisor_is_raised() -> None:
    def start_worker(on_report: OnReport) -> WorkerProcess:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        _supervised(start_worker)
