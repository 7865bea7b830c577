"""The supervisor: it says what becomes of the workers, and that they serve once they do."""

import os
import resource
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from bench.processes import started
from collector.config import Limits, Property, Settings
from collector.server import connection_limit, start_warnings
from collector.sink_config import FileSink
from tests.running import PATIENCE_SECONDS, PROGRAMS, Collector, eventually, running
from wal.log import Log

_SERVING = "collector: serving on http://"
_EVENT = {"ea": "view", "ec": "product", "sid": 1, "aid": "a", "uid": "u"}
_PORT_0 = '[server]\nport = 0\nworkers = 2\n[[property]]\nportal_id = 1\nprop_id = 2\n[log]\ndir = "{log}"\n'


def _lines(collector: Collector, text: str) -> list[str]:
    return [line for line in collector.said.splitlines() if text in line]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_worker_that_dies_is_one_line_with_its_pid_its_signal_and_the_count_of_restarts(
    tmp_path: Path, number: signal.Signals
) -> None:
    with running(tmp_path, workers=2) as collector:
        for restarts in (1, 2):
            victim = collector.workers()[0]
            victim.send_signal(number)
            eventually(lambda: len(_lines(collector, " died: ")) == restarts, "the death is told")  # noqa: B023
            line = _lines(collector, " died: ")[-1]
            assert f"worker {victim.pid} died: {number.name}; started " in line
            assert line.endswith(f" in its place, restarts so far: {restarts}")
        eventually(lambda: len(collector.workers()) == 2, "there are two again")
        assert collector.stop() == 0
        assert len(_lines(collector, " died: ")) == 2, "a worker that is stopped does not die"


def test_a_worker_that_can_never_start_again_ends_the_collector_with_a_line_and_exit_code_3(tmp_path: Path) -> None:
    with running(tmp_path, workers=1) as collector:
        (tmp_path / "data/dead").rename(tmp_path / "data/gone")
        (tmp_path / "data/dead").touch()  # in the place of a folder: no worker can start any more
        collector.workers()[0].kill()
        assert collector.process.wait(PATIENCE_SECONDS) == 3
    assert len(_lines(collector, " died: SIGKILL; started ")) == 1
    last = collector.said.splitlines()[-1]
    assert f"CRITICAL [{last.partition('[')[2].partition(']')[0]}] collector.app: " in last
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
            supervisor = psutil.Process(process.pid)
            eventually(lambda: len(_workers(supervisor)) == 2, "two workers are started")
            slow, other = _workers(supervisor)
            slow.suspend()
            eventually(lambda: _has_opened_a_log(other, tmp_path), "the other one serves")
            os.set_blocking(process.stderr.fileno(), False)
            before = supervisor.num_ctx_switches().voluntary
            eventually(lambda: supervisor.num_ctx_switches().voluntary > before + 4, "the supervisor has looked again")
            assert _SERVING not in (process.stderr.read() or "")
            slow.resume()
            os.set_blocking(process.stderr.fileno(), True)
            line = next(line for line in process.stderr if _SERVING in line)
            assert all(_has_opened_a_log(worker, tmp_path) for worker in (slow, other))
            assert not line.startswith(f"{_SERVING}127.0.0.1:0 ")
            assert line.endswith(" with 2 workers, Ctrl-C stops\n")
    finally:
        log.close()


def _workers(supervisor: psutil.Process) -> list[psutil.Process]:
    return [each for each in supervisor.children() if "spawn_main" in " ".join(each.cmdline())]


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


def test_sighup_changes_nothing_and_says_that_a_restart_would(tmp_path: Path) -> None:
    with running(tmp_path, workers=2) as collector:
        workers = collector.workers()
        for count, send in ((1, os.kill), (2, os.killpg)):
            send(collector.process.pid, signal.SIGHUP)
            eventually(lambda: len(_lines(collector, "SIGHUP")) == count, "SIGHUP is told of")  # noqa: B023
        assert _lines(collector, "SIGHUP")[0].endswith("SIGHUP: reload is not supported; restart to apply changes")
        assert {collector.post(_EVENT).status for _ in range(10)} == {200}
        assert collector.workers() == workers
        assert _lines(collector, " died: ") == []


def test_a_worker_holds_no_more_connections_than_the_hard_limit_of_files_allows(tmp_path: Path) -> None:
    collector = Collector(tmp_path, workers=1)
    limit = f"ulimit -Sn 500; ulimit -Hn 1000; exec {PROGRAMS}/collector serve --config {tmp_path}/collector.toml"
    environment = os.environ | {"TRACKLOG_TEST_KEY_A": "a" * 16, "TRACKLOG_TEST_KEY_B": "b" * 16}
    with started(["sh", "-c", limit], stderr=subprocess.PIPE, text=True, env=environment) as process:
        said = []
        assert process.stderr
        for line in process.stderr:
            said.append(line)
            if _SERVING in line:
                break
        assert "limits.connections is 10000, but the hard limit of open files (RLIMIT_NOFILE) is 1000: " in "".join(
            said
        )
        assert "a worker holds at most 744 connections; raise that limit to 10256 or more" in "".join(said)
        (worker,) = _workers(psutil.Process(process.pid))
        assert resource.prlimit(worker.pid, resource.RLIMIT_NOFILE) == (1000, 1000)
        sockets = [collector.connect() for _ in range(745)]
        try:
            assert sockets[-1].recv(12) == b"HTTP/1.1 503"
        finally:
            for each in sockets:
                each.close()


@pytest.mark.parametrize(
    ("setting", "hard_limit", "connections"),
    [
        (10_000, resource.RLIM_INFINITY, 10_000),
        (10_000, 20_000, 10_000),
        (10_000, 10_256, 10_000),
        (10_000, 10_255, 9_999),
        (10_000, 1_024, 768),
        (100, 1_024, 100),
        (10_000, 256, 128),
        (10_000, 3, 2),
    ],
)
def test_the_limit_of_connections_is_the_setting_or_what_the_hard_limit_of_files_leaves(
    setting: int, hard_limit: int, connections: int
) -> None:
    assert connection_limit(setting, hard_limit) == connections


def _settings(**changes: object) -> Settings:
    everything: dict[str, object] = {"property": (Property(1, 2),), "sink": (FileSink(dir="events"),), **changes}
    return Settings(**everything)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "hard_limit", "user_id", "warning"),
    [
        (_settings(property=()), 20_000, 1, "no [[property]]"),
        (_settings(sink=()), 20_000, 1, "no [[sink]]"),
        (_settings(), 20_000, 0, "running as root"),
        (_settings(), 1_024, 1, "at most 768 connections"),
    ],
)
def test_a_start_warns_of_what_an_operator_would_not_expect(
    settings: Settings, hard_limit: int, user_id: int, warning: str
) -> None:
    (line,) = start_warnings(settings, hard_limit, user_id)
    assert warning in line


def test_a_start_as_it_should_be_warns_of_nothing() -> None:
    assert list(start_warnings(_settings(limits=Limits(connections=100)), 1_024, 1)) == []


def test_the_warnings_of_a_start_are_in_the_process_log_once(tmp_path: Path) -> None:
    nothing = "[server]\nport = {port}\nworkers = {workers}\n"
    with running(tmp_path, workers=2, settings=nothing) as collector:
        assert len(_lines(collector, "no [[property]] in the settings: every event is refused with 404")) == 1
        assert len(_lines(collector, "no [[sink]] in the settings: events stay in the log")) == 1
        assert len(_lines(collector, "running as root")) == (os.geteuid() == 0)
