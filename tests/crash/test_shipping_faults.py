"""Failed system calls under a process that ships: whatever the log's files refuse, every event arrives once."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.collector.ship.shipping import WAIT
from tests.collector.ship.test_every_sink import Shipping
from tests.crash.tally import Tally
from tests.crash.test_system_calls import _attached, _strace
from tests.destinations.files import Files
from tests.running import PATIENCE_SECONDS

__all__ = ["_strace"]  # the fixture that skips where strace may not trace
_ROOT = Path(__file__).parents[2]
_FAULTS = [("openat", "EMFILE"), ("openat", "EIO"), ("getdents64", "EIO"), ("pread64", "EIO")]
_SEGMENTS = 6


def _ship(folder: Path, call: str, error: str, when: str, tally: Tally) -> int:
    """Ship a log of some segments while calls fail, judge what has arrived, and return how many failed."""
    folder.mkdir()
    shipping = Shipping(folder, Files(folder))
    for _ in range(_SEGMENTS):
        shipping.fill(4)
    tracing = ["-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={when}"]
    command = [sys.executable, "-m", "tests.collector.ship.shipping", str(folder), WAIT]
    with subprocess.Popen(
        command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == f"{WAIT}\n".encode()
            with _attached(process.pid, folder / "trace", tracing):
                _, told = process.communicate(b"\n", PATIENCE_SECONDS)
        finally:
            process.kill()
    assert process.returncode == 0, told.decode()
    injected = (folder / "trace").read_text().count("(INJECTED)")
    arrived = shipping.destination.arrived()
    tally.add(shipping.lines, arrived, injected)
    assert arrived == shipping.lines
    return injected


@pytest.mark.parametrize(("call", "error"), _FAULTS)
def test_a_call_that_fails_while_a_log_is_shipped_costs_no_event(
    tmp_path: Path, call: str, error: str, tally: Tally
) -> None:
    assert sum(_ship(tmp_path / when, call, error, when, tally) for when in ("1", "3", "2..4"))


@pytest.mark.torture
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("call", "error"), _FAULTS)
def test_every_call_may_fail_while_a_log_is_shipped(tmp_path: Path, call: str, error: str, tally: Tally) -> None:
    place = 1
    while _ship(tmp_path / f"{place}", call, error, f"{place}..{place + 1}", tally):
        place += 1
    assert place > 2
