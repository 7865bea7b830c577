"""Reloads that replace the workers one at a time: requests are served all the time, whoever dies meanwhile."""

import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.collector.server.reloads import (
    EVENT,
    SETTINGS,
    SINK,
    append,
    change,
    clients,
    pids,
    reload,
)
from tests.running import PATIENCE_SECONDS, PROGRAMS, Collector, eventually, running


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    """Two workers."""
    with running(tmp_path, workers=2, settings=SETTINGS) as collector:
        yield collector


def test_an_added_sink_rolls_the_workers_while_each_request_is_served(collector: Collector) -> None:
    workers = pids(collector)
    with clients(collector, 4) as (sent, failures):
        eventually(lambda: sum(sent) > 50, "clients send")
        append(collector, SINK)
        done = reload(collector)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "worker 1 of 2 is replaced\nworker 2 of 2 is replaced\nsink second: added\n"
        before = sum(sent)
        eventually(lambda: sum(sent) > before + 50, "clients go on")
    assert failures == []
    assert pids(collector).isdisjoint(workers)
    assert " died: " not in collector.stderr
    stored = {record["id"] for record in collector.stored()}
    assert len(stored) == sum(sent)
    eventually(lambda: {record["id"] for record in collector.shipped()} == stored, "the first sink has all")
    assert any((collector.folder / "data/second").rglob("*.zst"))


def test_settings_with_which_no_worker_gets_ready_are_refused(collector: Collector) -> None:
    workers = pids(collector)
    append(collector, SINK)
    command = [str(PROGRAMS / "collector"), "reload", "--config", str(collector.folder / "collector.toml")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        eventually(lambda: len(pids(collector)) == 3, "a successor starts")
        (successor,) = pids(collector) - workers
        psutil.Process(successor).kill()
        _, stderr = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1
    assert stderr == f"worker {successor} ended before it was ready: SIGKILL; the process log has the reason\n"
    assert pids(collector) == workers
    assert collector.post(EVENT).status == 200


def test_a_stop_ends_a_reload_that_rolls(collector: Collector) -> None:
    append(collector, SINK)
    os.kill(collector.process.pid, signal.SIGHUP)
    eventually(lambda: len(pids(collector)) == 3, "a successor starts")
    assert collector.stop() == 0
    assert "Traceback" not in collector.stderr


@pytest.mark.parametrize("shutdown_delay", [0, 300])
def test_a_stop_ends_a_reload_that_the_command_began(tmp_path: Path, shutdown_delay: int) -> None:
    settings = SETTINGS.replace("grace_seconds = 5", f"grace_seconds = 5\nshutdown_delay = {shutdown_delay}")
    with running(tmp_path, workers=2, settings=settings) as collector:
        append(collector, SINK)
        command = [str(PROGRAMS / "collector"), "reload", "--config", str(collector.folder / "collector.toml")]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            eventually(lambda: len(pids(collector)) == 3, "a successor starts")
            collector.process.terminate()
            _, stderr = process.communicate(timeout=PATIENCE_SECONDS)
        assert (process.returncode, stderr) == (1, "the collector is stopping\n")
        assert len(pids(collector)) <= 3, "no other worker is started"
        # with a delay, another signal ends it at once
        exit_code = collector.stop(signal.SIGINT) if shutdown_delay else collector.process.wait(PATIENCE_SECONDS)
        assert exit_code == (130 if shutdown_delay else 0)
        assert "Traceback" not in collector.stderr


def test_new_workers_may_open_as_many_files_as_the_new_settings_need(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        with running(tmp_path, workers=1, settings=SETTINGS + "[limits]\nconnections = 100\n") as collector:
            change(collector, "connections = 100", "connections = 2000")
            assert reload(collector).returncode == 0
            eventually(lambda: len(pids(collector)) == 1, "the new admin process has its name")
            (worker,) = pids(collector)
            assert resource.prlimit(worker, resource.RLIMIT_NOFILE)[0] == 2256
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
