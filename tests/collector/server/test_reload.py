"""Reload: changed settings take effect while requests are served, and settings with a fault change nothing."""

import asyncio
import json
import os
import resource
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, cast

import msgspec
import psutil
import pytest
from msgspec.structs import replace

from collector.server.control import SettingsBoard, Swap
from collector.server.node_state import Node, NodeState
from collector.server.reload import Reloader
from collector.server.worker_process import WorkerProcess
from collector.server.workers import StartWorker, Workers
from collector.settings import Limits, PropertySettings, Settings
from tests.running import PATIENCE_SECONDS, PROGRAMS, Collector, eventually, running

_EVENT = {"ea": "view", "ec": "product", "sid": 1, "aid": "a", "uid": "u"}
_SETTINGS = """
[server]
port = {port}
workers = {workers}
grace_seconds = 5
[admin]
port = 0
[[property]]
portal_id = 33167
prop_id = 564990801
[[property]]
portal_id = 33167
prop_id = 5
events_per_second = 0.001
[[sink]]
type = "file"
dir = "data/events"
flush_seconds = 0.05
"""
_PROPERTY = "[[property]]\nportal_id = 33167\nprop_id = 9\n"
_SINK = '[[sink]]\ntype = "file"\nname = "second"\ndir = "data/second"\nflush_seconds = 0.05\n'


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    """Two workers."""
    with running(tmp_path, workers=2, settings=_SETTINGS) as collector:
        yield collector


def _append(collector: Collector, text: str) -> None:
    with (collector.folder / "collector.toml").open("a") as file:
        file.write(text)


def _replace(collector: Collector, old: str, new: str) -> None:
    path = collector.folder / "collector.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def _reload(collector: Collector) -> "subprocess.CompletedProcess[str]":
    command = [str(PROGRAMS / "collector"), "reload", "--config", str(collector.folder / "collector.toml")]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE_SECONDS)


def _post(collector: Collector, prop_id: int) -> int:
    body = json.dumps(_EVENT).encode()
    return collector.send("POST", f"/event?portal_id=33167&prop_id={prop_id}", body).status


def _pids(collector: Collector) -> set[int]:
    return {worker.pid for worker in collector.workers()}


def _status(collector: Collector) -> Any:
    connection = HTTPConnection("127.0.0.1", collector.admin_port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", "/status")
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def test_an_added_property_is_served_by_all_workers_at_once(collector: Collector) -> None:
    assert _post(collector, 9) == 404
    workers = _pids(collector)
    _append(collector, _PROPERTY)
    done = _reload(collector)
    assert (done.returncode, done.stdout, done.stderr) == (0, "property 33167/9: added\n", "")
    assert {_post(collector, 9) for _ in range(20)} == {200}
    eventually(lambda: _pids(collector) == workers, "no worker was replaced")
    assert " reload_accepted: settings reloaded from " in collector.said
    eventually(lambda: _status(collector)["last_reload"]["lines"] == ["property 33167/9: added"], "the status has it")


def test_sighup_reloads_as_the_command_does(collector: Collector) -> None:
    _append(collector, _PROPERTY)
    os.kill(collector.process.pid, signal.SIGHUP)
    eventually(lambda: "property 33167/9: added" in collector.said, "the reload is told")
    assert {_post(collector, 9) for _ in range(20)} == {200}


def test_a_removed_property_and_a_lower_limit_take_effect(collector: Collector) -> None:
    _replace(collector, "prop_id = 564990801", 'prop_id = 564990801\nip = "drop"')
    _replace(collector, "prop_id = 5\nevents_per_second = 0.001\n", "prop_id = 6\n")
    _append(collector, "[limits]\nevent_bytes = 1024\nbody_bytes = 1024\n")
    assert _reload(collector).returncode == 0
    assert _post(collector, 5) == 404
    assert collector.post({**_EVENT, "extra": {"x": "x" * 2000}}).status == 413
    assert collector.post(_EVENT).status == 200
    assert collector.stored()[-1]["ip"] is None


def test_a_swap_gives_nobody_another_burst(tmp_path: Path) -> None:
    with running(tmp_path, workers=1, settings=_SETTINGS) as collector:
        assert [_post(collector, 5) for _ in range(3)] == [200, 429, 429]
        _append(collector, _PROPERTY)
        assert _reload(collector).returncode == 0
        assert {_post(collector, 5) for _ in range(10)} == {429}


def test_settings_with_faults_are_refused_with_all_of_them(collector: Collector) -> None:
    workers = _pids(collector)
    _append(collector, _PROPERTY.replace("9", "0") + "[limits]\nbody_byte = 1\n")
    done = _reload(collector)
    assert (done.returncode, done.stdout) == (1, "")
    assert "property[2].prop_id" in done.stderr
    assert "did you mean `body_bytes`?" in done.stderr
    assert " reload_refused: " in collector.said
    assert (_post(collector, 564990801), _pids(collector)) == (200, workers)
    assert _status(collector)["last_reload"]["is_accepted"] is False


def test_faults_of_files_with_any_name_and_nesting_are_told(collector: Collector) -> None:
    Path(os.fsdecode(os.fsencode(collector.folder) + b"/p\xff.toml")).write_text("a = 1\n")
    (collector.folder / "p.toml").write_text("a = " + "[" * 10_000)
    text = (collector.folder / "collector.toml").read_text()
    (collector.folder / "collector.toml").write_text('include = ["p*.toml"]\n' + text)
    done = _reload(collector)
    assert (done.returncode, done.stdout) == (1, "")
    assert "p\\udcff.toml: a: an included file may hold [[property]] tables only" in done.stderr
    assert "p.toml: not TOML: arrays or tables are nested too deeply" in done.stderr
    assert _status(collector)["last_reload"]["is_accepted"] is False


def test_a_change_that_needs_a_restart_is_refused(collector: Collector) -> None:
    _replace(collector, f"port = {collector.port}", "port = 1")
    _append(collector, _PROPERTY)
    done = _reload(collector)
    assert done.returncode == 1
    assert done.stderr == f"server.port: {collector.port} -> 1: this needs a restart\n"
    assert _post(collector, 9) == 404, "nothing of it is applied"


def test_a_reload_of_equal_settings_says_so(collector: Collector) -> None:
    done = _reload(collector)
    assert (done.returncode, done.stdout) == (0, "nothing has changed\n")


def test_an_added_sink_rolls_the_workers_while_each_request_is_served(collector: Collector) -> None:
    workers = _pids(collector)
    with _clients(collector, 4) as (sent, failures):
        eventually(lambda: sum(sent) > 50, "clients send")
        _append(collector, _SINK)
        done = _reload(collector)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "worker 1 of 2 is replaced\nworker 2 of 2 is replaced\nsink second: added\n"
        before = sum(sent)
        eventually(lambda: sum(sent) > before + 50, "clients go on")
    assert failures == []
    assert _pids(collector).isdisjoint(workers)
    assert " died: " not in collector.said
    stored = {record["id"] for record in collector.stored()}
    assert len(stored) == sum(sent)
    eventually(lambda: {each["id"] for each in collector.shipped()} == stored, "the first sink has all")
    assert any((collector.folder / "data/second").rglob("*.zst"))


@contextmanager
def _clients(collector: Collector, number: int) -> Iterator[tuple[list[int], list[str]]]:
    """Clients that send one event after another, each on one connection: what each has stored, and failures."""
    sent, failures, ending = [0] * number, list[str](), threading.Event()

    def send(client: int) -> None:
        connection = HTTPConnection("127.0.0.1", collector.port, timeout=PATIENCE_SECONDS)
        try:
            while not ending.is_set():
                connection.request("POST", "/event?portal_id=33167&prop_id=564990801", json.dumps(_EVENT))
                response = connection.getresponse()
                response.read()
                sent[client] += response.status == 200
                if response.status != 200:
                    failures.append(str(response.status))
        except Exception as error:
            failures.append(repr(error))
        finally:
            connection.close()

    threads = [threading.Thread(target=send, args=(client,)) for client in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield sent, failures
    finally:
        ending.set()
        for thread in threads:
            thread.join()


def test_settings_with_which_no_worker_gets_ready_are_refused(collector: Collector) -> None:
    workers = _pids(collector)
    _append(collector, _SINK)
    command = [str(PROGRAMS / "collector"), "reload", "--config", str(collector.folder / "collector.toml")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        eventually(lambda: len(_pids(collector)) == 3, "a successor starts")
        (successor,) = _pids(collector) - workers
        psutil.Process(successor).kill()
        _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1
    assert said == f"worker {successor} ended before it was ready: SIGKILL; the process log has the reason\n"
    assert _pids(collector) == workers
    assert collector.post(_EVENT).status == 200


def test_a_worker_that_dies_after_a_swap_starts_with_the_new_settings(collector: Collector) -> None:
    _append(collector, _PROPERTY)
    assert _reload(collector).returncode == 0
    for worker in collector.workers():
        worker.kill()
    eventually(lambda: len(collector.workers()) == 2, "there are two again")
    assert {_post(collector, 9) for _ in range(20)} == {200}


def test_a_reload_while_no_admin_process_runs_hides_no_death_of_the_next(collector: Collector) -> None:
    for deaths in (1, 2):  # the next start is a second after the second one
        eventually(collector.admin_processes, "there is an admin process")
        collector.admin_processes()[0].kill()
        eventually(lambda deaths=deaths: _admin_deaths(collector) == deaths, "the death is told")
    _append(collector, _PROPERTY)
    assert _reload(collector).returncode == 0
    eventually(collector.admin_processes, "there is another")
    collector.admin_processes()[0].kill()
    eventually(lambda: _admin_deaths(collector) == 3, "this death is told as well")


def _admin_deaths(collector: Collector) -> int:
    return collector.said.count(" died: SIGKILL; starts again in ")


def test_a_stop_ends_a_reload_that_rolls(collector: Collector) -> None:
    _append(collector, _SINK)
    os.kill(collector.process.pid, signal.SIGHUP)
    eventually(lambda: len(_pids(collector)) == 3, "a successor starts")
    assert collector.stop() == 0
    assert "Traceback" not in collector.said


@pytest.mark.parametrize("shutdown_delay", [0, 300])
def test_a_stop_ends_a_reload_that_the_command_began(tmp_path: Path, shutdown_delay: int) -> None:
    settings = _SETTINGS.replace("grace_seconds = 5", f"grace_seconds = 5\nshutdown_delay = {shutdown_delay}")
    with running(tmp_path, workers=2, settings=settings) as collector:
        _append(collector, _SINK)
        command = [str(PROGRAMS / "collector"), "reload", "--config", str(collector.folder / "collector.toml")]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            eventually(lambda: len(_pids(collector)) == 3, "a successor starts")
            collector.process.terminate()
            _, said = process.communicate(timeout=PATIENCE_SECONDS)
        assert (process.returncode, said) == (1, "the collector is stopping\n")
        assert len(_pids(collector)) <= 3, "no other worker is started"
        assert collector.process.wait(PATIENCE_SECONDS) == 0 if not shutdown_delay else collector.stop() == 143
        assert "Traceback" not in collector.said


def test_many_signals_cost_two_reloads(collector: Collector) -> None:
    _replace(collector, "[[sink]]", "# \n" * 1_000_000 + "[[sink]]")  # so that one reload takes longer than all signals
    (admin,) = collector.admin_processes()
    for _ in range(20):
        os.kill(collector.process.pid, signal.SIGHUP)
    eventually(lambda: "reload_accepted" in collector.said, "the first one is over")
    assert _reload(collector).returncode == 0
    assert collector.said.count("reload_accepted") <= 3
    assert collector.admin_processes() == [admin], "it goes on where nothing has changed"


def test_new_workers_may_open_as_many_files_as_the_new_settings_need(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        with running(tmp_path, workers=1, settings=_SETTINGS + "[limits]\nconnections = 100\n") as collector:
            _replace(collector, "connections = 100", "connections = 2000")
            assert _reload(collector).returncode == 0
            eventually(lambda: len(_pids(collector)) == 1, "the new admin process has its name")
            (worker,) = _pids(collector)
            assert resource.prlimit(worker, resource.RLIMIT_NOFILE)[0] == 2256
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class _Swapping:
    """Workers that take every swap."""

    def __init__(self) -> None:
        self.swaps: list[Swap] = []

    async def swap(self, swap: Swap) -> list[WorkerProcess]:
        """Note it."""
        self.swaps.append(swap)
        return []


def test_a_swap_keeps_the_connections_that_fit_into_the_limit_of_open_files() -> None:
    added = replace(Settings(), property=(PropertySettings(portal_id=1, prop_id=2),))
    workers, board, _ = _swap_in(added, for_workers=lambda each: replace(each, limits=Limits(connections=7)))
    assert board.read(workers.swaps[0]).limits.connections == 7


def test_the_lines_of_a_reload_fit_into_the_state_of_the_node() -> None:
    _, _, state = _swap_in(replace(Settings(), include=tuple(f"{number}.toml" for number in range(60_000))))
    assert state.last_reload
    assert state.last_reload.is_accepted
    assert len(msgspec.json.encode(state)) < 10_000


def _swap_in(
    settings: Settings, for_workers: Callable[[Settings], Settings] = lambda settings: settings
) -> tuple[_Swapping, SettingsBoard, NodeState]:
    """Reload other settings than the defaults; returns the workers, the board, and what the node tells then."""
    workers, board, states = _Swapping(), SettingsBoard(), list[NodeState]()
    reloader = Reloader(
        Settings(),
        "collector.toml",
        read=lambda: settings,
        for_workers=for_workers,
        start_with=lambda _: cast(StartWorker, None),
        on_accepted=lambda _: None,
        workers=cast(Workers, workers),
        node=Node(1, 0, states.append),
        board=board,
    )
    assert asyncio.run(reloader.reload()).is_accepted
    return workers, board, states[-1]


def test_without_a_collector_the_command_says_so(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    collector = Collector(folder, settings=_SETTINGS)
    done = _reload(collector)
    assert done.returncode == 1
    assert f"collector: no collector runs on {folder / 'data/log'}: " in done.stderr


def test_the_socket_works_in_a_folder_with_a_long_path_and_goes_with_the_collector(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    with running(folder, workers=1, settings=_SETTINGS) as collector:
        path = folder / "data/log/control.sock"
        assert path.stat().st_mode & 0o777 == 0o600
        assert _reload(collector).returncode == 0
        assert collector.stop() == 0
        assert not path.exists()
