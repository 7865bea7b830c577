"""Power cuts on real file systems: the shutdown ioctl drops all that was not fsynced, journal included.

What was acknowledged is there after the next mount. Without fsync it is not, which shows that the test can tell.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from bench.processes import started
from tests.crash import writer
from tests.crash.load import load_and_crash
from tests.crash.oracle import Account, check_delivery, reopen
from tests.crash.tally import Tally
from tests.crash.volume import Volume, filled, memory, settings, volume
from tests.running import PATIENCE_SECONDS, Collector, eventually, running
from wal.errors import WalError

_KINDS: Final = ("ext4", "xfs")
_FLAGS: Final = ("--event-bytes=4000", "--segment-bytes=60000")
_REPORT_BYTES: Final = 20_000
"""The power is cut when the writer has reported up to so much."""
_CONNECTIONS: Final = 64
_ROUNDS_WITHOUT_SYNC: Final = 5
_SMALL_BYTES: Final = 128 << 20


@pytest.mark.parametrize("rounds", [4, pytest.param(60, marks=[pytest.mark.torture, pytest.mark.timeout(900)])])
@pytest.mark.parametrize("kind", _KINDS)
def test_a_power_cut_loses_no_acknowledged_event(tmp_path: Path, kind: str, rounds: int, tally: Tally) -> None:
    account = Account()
    with volume(tmp_path / "disk", kind, tmp_path / "image") as disk:
        for number in range(rounds):
            through = ("--through=committer",) if number % 2 else ()
            _write_until_cut(disk, account, number, [*through, f"--first={account.next}"])
            recovered = reopen(disk.path / "log")
            tally.add(account.kept, recovered)
            account.check(recovered)
            assert reopen(disk.path / "log") == recovered


@pytest.mark.parametrize("kind", _KINDS)
def test_without_fsync_a_power_cut_loses_acknowledged_events(tmp_path: Path, kind: str, tally: Tally) -> None:
    lost: set[int] = set()
    with volume(tmp_path / "disk", kind, tmp_path / "image") as disk:
        for number in range(1, _ROUNDS_WITHOUT_SYNC + 1):
            account = Account()
            _write_until_cut(disk, account, number, ["--files=unsynced"], ends=False)
            recovered: list[int] = []
            with suppress(WalError, AssertionError):
                recovered = reopen(disk.path / "log")
            tally.add(account.kept, recovered)
            lost |= account.kept - set(recovered)
    assert lost, "a power cut takes nothing away here, so the other test proves nothing"


@pytest.mark.parametrize("cuts", [1, pytest.param(15, marks=[pytest.mark.torture, pytest.mark.timeout(900)])])
@pytest.mark.parametrize("kind", _KINDS)
def test_a_power_cut_under_load_leaves_every_acknowledged_event_in_the_files_exactly_once(
    tmp_path: Path, kind: str, cuts: int, tally: Tally
) -> None:
    def cut_power(collector: Collector) -> None:
        os.killpg(collector.process.pid, signal.SIGSTOP)  # the machine answers nobody any more
        disk.cut_power()
        collector.kill()
        disk.unmount()
        disk.mount()
        collector.start()

    with (
        volume(tmp_path / "data", kind, tmp_path / "image") as disk,
        running(tmp_path, settings=settings()) as collector,
    ):
        load = asyncio.run(load_and_crash(collector, 1000 * cuts, cuts, _CONNECTIONS, cut_power))
        check_delivery(collector, load, tally, faults=cuts)


@pytest.mark.parametrize("kind", _KINDS)
def test_a_true_failure_of_fsync_ends_the_writer_and_loses_nothing(tmp_path: Path, kind: str, tally: Tally) -> None:
    """The file system's own file is sparse and lies on a disk that runs full, so writing back what was cached fails."""
    account = Account()
    small = tmp_path / "small"
    with memory(small, _SMALL_BYTES), volume(tmp_path / "disk", kind, small / "image") as disk:
        disk.write_by_pages()
        with _writing(disk, tmp_path, list(_FLAGS)) as process:
            eventually(lambda: len(_report(tmp_path)) > _REPORT_BYTES, "the writer has written")
            with filled(small):
                assert process.wait(PATIENCE_SECONDS) == writer.POISONED
        disk.unmount()
        disk.mount()
        account.read(_report(tmp_path))
        assert any("fsync failed" in fault for fault in account.faults)
        recovered = reopen(disk.path / "log")
        tally.add(account.kept, recovered)
        account.check(recovered)


def _write_until_cut(disk: Volume, account: Account, number: int, flags: list[str], *, ends: bool = True) -> None:
    """Write, cut the power at a place that the number decides, mount again; put the writer's report on the account.

    A writer that syncs notices, and `ends` by itself. What it acknowledges meanwhile is not owed: with the power, the
    machine would be gone that says so, while ext4 lets an fdatasync amid the ioctl succeed that has saved nothing.
    """
    folder = disk.path.parent
    enough = random.Random(number).randrange(_REPORT_BYTES)
    with _writing(disk, folder, [*_FLAGS, *flags]) as process:
        eventually(lambda: len(_report(folder)) > enough or process.poll() is not None, "the writer has written")
        assert process.poll() is None, _report(folder)
        owed = len(_report(folder))
        disk.cut_power()
        if not ends:
            process.kill()
        assert process.wait(PATIENCE_SECONDS) in (writer.POISONED, writer.UNOPENED, -signal.SIGKILL), _report(folder)
    disk.unmount()
    disk.mount()
    account.read(_report(folder), owed)


@contextmanager
def _writing(disk: Volume, folder: Path, flags: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A writer on the volume, whose report goes to a file on another one."""
    command = [sys.executable, "-m", writer.__name__, str(disk.path / "log"), *flags]
    with (folder / "report").open("wb") as report, started(command, stdout=report) as process:
        yield process


def _report(folder: Path) -> str:
    return (folder / "report").read_text()
