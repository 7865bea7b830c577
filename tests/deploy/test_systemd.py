"""The systemd unit: systemd accepts it, rates it as well confined, and a collector works so confined."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from collector.server.exit_codes import PASSING_FAILURE, STARTUP_FAILURE
from tests.deploy.confined import allowed_calls, confined_collector, confined_command, missing
from tests.running import PROGRAMS, Collector, eventually

_ROOT = Path(__file__).parents[2]
_UNIT = (_ROOT / "deploy/systemd/tracklog.service").read_text()
_AT_MOST_EXPOSED = 15
"""In tenths of the points of `systemd-analyze security`, where 100 is a service without any confinement."""
_SETTINGS = """
[server]
port = {port}
workers = {workers}
grace_seconds = 1
[admin]
port = 0
[[property]]
portal_id = 33167
prop_id = 564990801
[[sink]]
type = "file"
format = "parquet"
dir = "data/events"
flush_seconds = 0.1
[[sink]]
type = "objects"
url = "file://{folder}/objects"
flush_seconds = 0.1
[[sink]]
type = "kafka"
brokers = ["127.0.0.1:1"]
[[sink]]
type = "http"
url = "http://127.0.0.1:1/"
"""
_TRIES = """
import contextlib, mmap, os, sys
for number, attempt in enumerate((
    lambda: open("/opt/written", "w"),
    lambda: open("/tmp/written", "w"),
    lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC),
    lambda: os.chown(sys.argv[1], 1, 1),
    lambda: open(sys.argv[1] + "/written", "w"),
)):
    with contextlib.suppress(OSError):
        attempt()
        print(number)
"""

with_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed; .ci/run installs it"
)
confinable = pytest.mark.skipif(bool(missing()), reason=missing())


def _setting(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", _UNIT, re.MULTILINE)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, with a program that exists here in the place of the one that it installs."""
    path = tmp_path / "tracklog.service"
    path.write_text(_UNIT.replace("/opt/tracklog/bin/collector", shutil.which("true") or ""))
    return path


@with_systemd
def test_systemd_accepts_the_unit(unit: Path) -> None:
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@with_systemd
def test_systemd_rates_the_unit_as_well_confined(unit: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={_AT_MOST_EXPOSED}", str(unit)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_unit_starts_the_collector_again_unless_a_person_is_needed() -> None:
    assert _setting("Restart") == ["on-failure"]
    assert _setting("StartLimitIntervalSec") == ["0"]
    (prevented,) = _setting("RestartPreventExitStatus")
    assert {int(code) for code in prevented.split()} == {1, 2, STARTUP_FAILURE}
    assert str(PASSING_FAILURE) not in prevented
    assert _setting("OOMPolicy") == ["continue"]


def test_the_confinement_of_the_tests_is_that_of_the_unit() -> None:
    assert _setting("ProtectSystem") == ["strict"]
    assert _setting("CapabilityBoundingSet") == [""]
    assert _setting("NoNewPrivileges") == ["yes"]
    assert _setting("MemoryDenyWriteExecute") == ["yes"]
    assert _setting("SystemCallFilter") == ["@system-service", "~@privileged"]


@confinable
def test_a_confined_program_can_write_its_folder_and_nothing_else(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    command = confined_command(tmp_path, calls, shutil.which("python3") or "", "-c", _TRIES, str(tmp_path))
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "4\n"
    assert "chown" not in allowed_calls()
    assert re.search(r"^\d+ +chown\(", calls.read_text(), re.MULTILINE)


@confinable
def test_a_confined_collector_stores_delivers_with_the_libraries_of_all_sinks_and_reloads(tmp_path: Path) -> None:
    (tmp_path / "objects").mkdir()
    collector = Collector(tmp_path, workers=1, settings=_SETTINGS.replace("{folder}", str(tmp_path)))
    calls, calls_of_reload = tmp_path / "calls", tmp_path / "calls of reload"
    program, *arguments = _setting("ExecReload")[0].replace("/etc/tracklog", str(tmp_path)).split()
    assert Path(program).name == "collector"
    reload = confined_command(tmp_path, calls_of_reload, sys.executable, str(PROGRAMS / "collector"), *arguments)
    with confined_collector(collector, calls):
        assert collector.post({"ea": "view", "ec": "product", "sid": 6320, "aid": "a-1", "uid": "u-1"}).status == 200
        for pattern in ("data/events/**/*.parquet", "objects/**/*.ndjson.zst"):
            eventually(lambda pattern=pattern: any(tmp_path.glob(pattern)), f"{pattern} is there")
        done = subprocess.run(reload, check=False, capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, "nothing has changed\n", "")
    assert calls.read_text() == calls_of_reload.read_text() == ""
