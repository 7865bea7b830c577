"""Reload: changed settings take effect while requests are served, and settings with a fault change nothing."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector.server.reloads import (
    EVENT,
    PROPERTY,
    SETTINGS,
    append,
    change,
    pids,
    post,
    reload,
    reload_with,
    status,
)
from tests.running import Collector, eventually, running


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    """Two workers."""
    with running(tmp_path, workers=2, settings=SETTINGS) as collector:
        yield collector


def test_an_added_property_is_served_by_all_workers_at_once(collector: Collector) -> None:
    assert post(collector, 9) == 404
    workers = pids(collector)
    append(collector, PROPERTY)
    done = reload(collector)
    assert (done.returncode, done.stdout, done.stderr) == (0, "property 33167/9: added\n", "")
    assert {post(collector, 9) for _ in range(20)} == {200}
    eventually(lambda: pids(collector) == workers, "no worker was replaced")
    assert " reload_accepted: settings reloaded from " in collector.stderr
    eventually(lambda: status(collector)["last_reload"]["lines"] == ["property 33167/9: added"], "the status has it")


def test_sighup_reloads_as_the_command_does(collector: Collector) -> None:
    append(collector, PROPERTY)
    os.kill(collector.process.pid, signal.SIGHUP)
    eventually(lambda: "property 33167/9: added" in collector.stderr, "the reload is told")
    assert {post(collector, 9) for _ in range(20)} == {200}


def test_a_removed_property_and_a_lower_limit_take_effect(collector: Collector) -> None:
    change(collector, "prop_id = 564990801", 'prop_id = 564990801\nip = "drop"')
    change(collector, "prop_id = 5\nevents_per_second = 0.001\n", "prop_id = 6\n")
    append(collector, "[limits]\nevent_bytes = 1024\nbody_bytes = 1024\n")
    assert reload(collector).returncode == 0
    assert post(collector, 5) == 404
    assert collector.post({**EVENT, "extra": {"x": "x" * 2000}}).status == 413
    assert collector.post(EVENT).status == 200
    assert collector.stored()[-1]["ip"] is None


def test_a_swap_gives_nobody_another_burst(tmp_path: Path) -> None:
    with running(tmp_path, workers=1, settings=SETTINGS) as collector:
        assert [post(collector, 5) for _ in range(3)] == [200, 429, 429]
        append(collector, PROPERTY)
        assert reload(collector).returncode == 0
        assert {post(collector, 5) for _ in range(10)} == {429}


def test_settings_with_faults_are_refused_with_all_of_them(collector: Collector) -> None:
    workers = pids(collector)
    append(collector, PROPERTY.replace("9", "0") + "[limits]\nbody_byte = 1\n")
    done = reload(collector)
    assert (done.returncode, done.stdout) == (1, "")
    assert "property[2].prop_id" in done.stderr
    assert "did you mean `body_bytes`?" in done.stderr
    assert " reload_refused: " in collector.stderr
    assert (post(collector, 564990801), pids(collector)) == (200, workers)
    assert status(collector)["last_reload"]["is_accepted"] is False


def test_faults_of_files_with_any_name_and_nesting_are_reported(collector: Collector) -> None:
    Path(os.fsdecode(os.fsencode(collector.folder) + b"/p\xff.toml")).write_text("a = 1\n")
    (collector.folder / "p.toml").write_text("a = " + "[" * 10_000)
    text = (collector.folder / "collector.toml").read_text()
    (collector.folder / "collector.toml").write_text('include = ["p*.toml"]\n' + text)
    done = reload(collector)
    assert (done.returncode, done.stdout) == (1, "")
    assert "p\\udcff.toml: a: an included file may hold [[property]] tables only" in done.stderr
    assert "p.toml: not TOML: arrays or tables are nested too deeply" in done.stderr
    assert status(collector)["last_reload"]["is_accepted"] is False


def test_a_change_that_needs_a_restart_is_refused(collector: Collector) -> None:
    change(collector, f"port = {collector.port}", "port = 1")
    append(collector, PROPERTY)
    done = reload(collector)
    assert done.returncode == 1
    assert done.stderr == f"server.port: {collector.port} -> 1: this needs a restart\n"
    assert post(collector, 9) == 404, "nothing of it is applied"


def test_a_reload_of_equal_settings_says_so(collector: Collector) -> None:
    done = reload(collector)
    assert (done.returncode, done.stdout) == (0, "nothing has changed\n")


def test_a_worker_that_dies_after_a_swap_starts_with_the_new_settings(collector: Collector) -> None:
    append(collector, PROPERTY)
    assert reload(collector).returncode == 0
    for worker in collector.workers():
        worker.kill()
    eventually(lambda: len(collector.workers()) == 2, "there are two again")
    assert {post(collector, 9) for _ in range(20)} == {200}


def test_a_reload_while_no_admin_process_runs_hides_no_death_of_the_next(collector: Collector) -> None:
    for deaths in (1, 2):  # the next start is a second after the second one
        eventually(collector.admin_processes, "there is an admin process")
        collector.admin_processes()[0].kill()
        eventually(lambda deaths=deaths: _admin_deaths(collector) == deaths, "the death is told")
    append(collector, PROPERTY)
    assert reload(collector).returncode == 0
    eventually(collector.admin_processes, "there is another")
    collector.admin_processes()[0].kill()
    eventually(lambda: _admin_deaths(collector) == 3, "this death is told as well")


def _admin_deaths(collector: Collector) -> int:
    return collector.stderr.count(" died: SIGKILL; starts again in ")


def test_many_signals_cost_two_reloads(collector: Collector) -> None:
    change(collector, "[[sink]]", "# \n" * 1_000_000 + "[[sink]]")  # so that one reload takes longer than all signals
    (admin,) = collector.admin_processes()
    for _ in range(20):
        os.kill(collector.process.pid, signal.SIGHUP)
    eventually(lambda: "reload_accepted" in collector.stderr, "the first one is over")
    assert reload(collector).returncode == 0
    assert collector.stderr.count("reload_accepted") <= 3
    assert collector.admin_processes() == [admin], "it goes on where nothing has changed"


def test_without_a_collector_the_command_says_so(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    collector = Collector(folder, settings=SETTINGS)
    done = reload(collector)
    assert done.returncode == 1
    assert f"collector: no collector runs on {folder / 'data/log'}: " in done.stderr


def test_a_collector_with_another_settings_file_is_not_reloaded(tmp_path: Path) -> None:
    with running(tmp_path, workers=1, settings=SETTINGS) as collector:
        own, other, link = (tmp_path / name for name in ("collector.toml", "other.toml", "link.toml"))
        other.write_text(own.read_text())
        link.symlink_to(own)
        done = reload_with(other)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"runs with {own}, not with {other}: nothing is reloaded" in done.stderr
        assert "reload" not in collector.stderr.partition("serving on ")[2]
        assert reload_with(link).returncode == 0, "it is the same file"


def test_the_socket_works_in_a_folder_with_a_long_path_and_goes_with_the_collector(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    with running(folder, workers=1, settings=SETTINGS) as collector:
        path = folder / "data/log/control.sock"
        assert path.stat().st_mode & 0o777 == 0o600
        assert reload(collector).returncode == 0
        assert collector.stop() == 0
        assert not path.exists()
