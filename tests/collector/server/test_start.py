"""The start of `collector serve`: its warnings, and that it is light until a worker runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from collector.server import start
from collector.server.exit_codes import PASSING_FAILURE
from collector.server.start import start_warnings
from collector.settings import Limits, LogSettings, PropertySettings, Settings
from collector.ship.sinks.file import FileSinkSettings
from tests.running import PATIENCE_SECONDS, running


def _settings(**changes: object) -> Settings:
    everything: dict[str, object] = {
        "property": (PropertySettings(1, 2),),
        "sink": (FileSinkSettings(dir="events"),),
        **changes,
    }
    return Settings(**everything)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "hard_limit", "user_id", "warning"),
    [
        (_settings(property=()), 20_000, 1, "no [[property]]"),
        (_settings(sink=()), 20_000, 1, "no [[sink]]"),
        (_settings(), 20_000, 0, "running as root"),
        (_settings(), 1_024, 1, "at most 768 connections"),
        (_settings(log=LogSettings(min_free_bytes=1 << 60)), 20_000, 1, "every request gets 503"),
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
        assert collector.stderr.count("no [[property]] in the settings: every event is refused with 404") == 1
        assert collector.stderr.count("no [[sink]] in the settings: events stay in the log") == 1
        assert collector.stderr.count("running as root") == (os.geteuid() == 0)


_FAILING = """
import socket, sys
from collector.cli import main
def fail(*_, **__):
    raise {error}
socket.create_server = fail
sys.exit(main(["serve", "--config", sys.argv[1]]))
"""


@pytest.mark.parametrize(
    ("error", "exit_code", "reason"),
    [
        ("OSError(98, 'Address already in use (while attempting to bind on address x)')", 4, "Address already in use"),
        ("OSError(99, 'Cannot assign requested address')", 4, "Cannot assign requested address"),
        ("OSError(12, 'Cannot allocate memory')", 4, "Cannot allocate memory"),
        ("socket.gaierror(-3, 'Temporary failure in name resolution')", 4, "Temporary failure in name resolution"),
        ("socket.gaierror(-9, 'Address family for hostname not supported')", 1, "Address family for hostname not sup"),
        ("PermissionError(13, 'Permission denied')", 1, "Permission denied"),
    ],
)
def test_a_start_that_may_work_later_has_an_exit_code_of_its_own(
    tmp_path: Path, error: str, exit_code: int, reason: str
) -> None:
    config = tmp_path / "collector.toml"
    config.write_text("[server]\nport = 8080\n")
    program = [sys.executable, "-c", _FAILING.format(error=error), str(config)]
    done = subprocess.run(program, check=False, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == exit_code
    assert f"can't listen on 127.0.0.1 port 8080: {reason}" in done.stderr
    assert "; see server.host and server.port" in done.stderr


def test_the_supervisor_imports_neither_the_application_nor_uvicorn() -> None:
    program = "import sys, collector.server.start; print([m for m in ('uvicorn', 'collector.app') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    assert done.stdout == "[]\n"


def test_a_bug_of_the_supervisor_is_logged_and_a_restart_may_help(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(start, "set_up", lambda *_: None)
    monkeypatch.setattr(start, "load_secret", fail)
    assert start.serve(Settings(), "collector.toml", Settings) == PASSING_FAILURE
    assert [record.exc_info and record.exc_info[0] for record in caplog.records] == [ZeroDivisionError]
