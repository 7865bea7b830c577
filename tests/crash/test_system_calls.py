"""Failed and fatal system calls, one after another: strace makes the N-th call of a kind fail or kill, for every N.

Whatever is hit, the next start finds what was acknowledged, once and in order, and speaks of no damage.
"""

import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from bench.processes import started
from tests.crash import writer
from tests.crash.oracle import Account, reopen
from tests.crash.tally import Tally
from tests.running import PATIENCE_SECONDS

_KILL: Final = "signal=SIGKILL"
_NO_ROOM: Final = ("error=ENOSPC", "error=EDQUOT", "error=EFBIG")
_NO_DESCRIPTOR: Final = ("error=EMFILE", "error=ENFILE")
_GONE: Final = ("error=EIO", "error=EROFS")
_FAULTS: Final = {
    "fdatasync": ("error=EIO", "error=ENOSPC", _KILL),
    "fsync": ("error=EIO", "error=EDQUOT", _KILL),
    "writev": (*_NO_ROOM, "error=EIO", "retval=0", _KILL),
    "write": (_KILL,),
    "fallocate": (*_NO_ROOM, "error=EIO", "error=EOPNOTSUPP", _KILL),
    "ftruncate": ("error=EIO", _KILL),
    "rename": ("error=ENOSPC", "error=EIO", _KILL),
    "unlink": ("error=EIO", _KILL),
    "symlink": ("error=ENOSPC", _KILL),
    "mkdir": ("error=ENOSPC", _KILL),
    "openat": (*_NO_DESCRIPTOR, _KILL),
    "pread64": ("error=EIO", _KILL),
    "fadvise64": (_KILL,),
}
"""What is injected into which calls. `write` is that of the reports, so its kill comes before an acknowledgement."""
_BLOCKS: Final = 24
_FEW_BLOCKS: Final = 9
_ROOM_TRIES: Final = 2
"""Reserving room is tried twice before a block is refused, so it has to fail as often."""


class Scene(NamedTuple):
    """What is going on when a call fails."""

    name: str
    flags: tuple[str, ...]
    is_new: bool
    """Whether the log begins here; else an earlier writer was killed amid a write, and recovery comes first."""


_SCENES: Final = (
    Scene("new", (), True),
    Scene("recovered", (), False),
    Scene("short writes", ("--files=short", f"--blocks={_FEW_BLOCKS}"), False),
    Scene("committer", ("--through=committer", f"--blocks={_FEW_BLOCKS}"), False),
)


class _Run(NamedTuple):
    """How a writer ended, what it reported and which calls strace saw."""

    code: int
    report: str
    calls: str

    @property
    def injected(self) -> int:
        """How many faults were met."""
        return self.calls.count("(INJECTED)") or int(self.code == -signal.SIGKILL)


class _Bench:
    """Runs a writer in one scene again and again, each time from the same beginning."""

    def __init__(self, folder: Path, killed: tuple[Path, str], scene: Scene, tally: Tally) -> None:
        self._folder = folder
        self._killed = killed
        self._scene = scene
        self._tally = tally

    def calls(self, name: str) -> list[int]:
        """The numbers of all calls of that name, from 1 on."""
        run = self._run(["-e", f"trace={name}"])[1]
        assert run.code == writer.FINISHED
        calls = _calls(run.calls)
        if name not in calls:
            pytest.skip(f"{name} is not called in this scene")
        return list(range(1, calls[name] + 1))

    def sweep(self, call: str, fault: str, places: Iterable[int], times: int = 1) -> None:
        """Inject at each place, and judge each time."""
        injected = 0
        for place in places:
            when = f"{place}..{place + times - 1}"
            account, run = self._run(["-e", f"trace={call}", "-e", f"inject={call}:{fault}:when={when}"])
            injected += run.injected
            print(call, fault, when, run.code, *account.faults)
            _judge_end(call, fault, account, run)
            self._judge_log(account, run.injected)
        assert injected, "no fault was met"

    def _run(self, tracing: list[str]) -> tuple[Account, _Run]:
        account = Account()
        directory = self._folder / "log"
        shutil.rmtree(directory, ignore_errors=True)
        if not self._scene.is_new:
            shutil.copytree(self._killed[0], directory, symlinks=True)
            account.read(self._killed[1])
        run = _write(self._folder, [*self._scene.flags, f"--first={account.next}"], tracing)
        account.read(run.report)
        return account, run

    def _judge_log(self, account: Account, faults: int) -> None:
        recovered = reopen(self._folder / "log")
        self._tally.add(account.kept, recovered, faults)
        account.check(recovered)
        assert reopen(self._folder / "log") == recovered


@pytest.fixture(scope="module", autouse=True)
def _strace() -> None:
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    tried = subprocess.run(["strace", "-qq", "-e", "trace=none", "true"], check=False, capture_output=True, text=True)
    if tried.returncode != 0:
        pytest.skip(f"strace may not trace here: {tried.stderr.strip()}")


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A log whose writer was killed between the parts of a write and left unfinished files; and what it reported."""
    folder = tmp_path_factory.mktemp("killed")
    for number in count(40):
        run = _write(folder, ["--files=short"], ["-e", "trace=writev", "-e", f"inject=writev:{_KILL}:when={number}"])
        if not max((folder / "log").glob("seg-*.ndjson")).read_bytes().endswith(b"\n"):
            break
        shutil.rmtree(folder / "log")
    (folder / "log/seg-0000000099-0000000000000099.ndjson.tmp").write_bytes(b"unfinished")
    (folder / "log/cursors/sink.json.tmp").write_bytes(b"unfinished")
    return folder / "log", run.report


@pytest.mark.parametrize("call", _FAULTS)
def test_a_log_outlives_a_failed_or_fatal_system_call(
    tmp_path: Path, killed: tuple[Path, str], call: str, tally: Tally
) -> None:
    bench = _Bench(tmp_path, killed, _SCENES[1], tally)
    calls = bench.calls(call)
    for fault in _FAULTS[call]:
        bench.sweep(call, fault, [calls[len(calls) // 2]])


@pytest.mark.torture
@pytest.mark.timeout(900)
@pytest.mark.parametrize("scene", _SCENES, ids=lambda scene: scene.name)
@pytest.mark.parametrize("call", _FAULTS)
def test_a_log_outlives_every_failed_or_fatal_system_call(
    tmp_path: Path, killed: tuple[Path, str], call: str, scene: Scene, tally: Tally
) -> None:
    bench = _Bench(tmp_path, killed, scene, tally)
    calls = bench.calls(call)
    for fault in _FAULTS[call]:
        bench.sweep(call, fault, calls)
        if call == "fallocate" and fault != _KILL:
            bench.sweep(call, fault, calls, _ROOM_TRIES)


@pytest.mark.parametrize("fault", _GONE)
def test_a_disk_that_fails_for_good_while_room_is_reserved_ends_the_writer(
    tmp_path: Path, fault: str, tally: Tally
) -> None:
    calls = re.findall(r"^\d+ +(\w+)\(", _write(tmp_path, [], ["-e", "trace=fallocate,fdatasync"]).calls, re.MULTILINE)
    second = calls.index("fallocate", calls.index("fallocate") + 1)
    synced = calls[:second].count("fdatasync")
    shutil.rmtree(tmp_path / "log")
    tracing = ["-e", "trace=fallocate,fdatasync", "-e", f"inject=fallocate:{fault}:when=2+"]
    run = _write(tmp_path, [], [*tracing, "-e", f"inject=fdatasync:{fault}:when={synced + 1}+"])
    account = Account()
    account.read(run.report)
    assert run.code == writer.POISONED
    recovered = reopen(tmp_path / "log")
    tally.add(account.kept, recovered, run.injected)
    account.check(recovered)


@pytest.mark.parametrize(
    "limits", [(100, 148, 149, 300, 1000), pytest.param(range(100, 2000, 7), marks=pytest.mark.torture)]
)
@pytest.mark.timeout(600)
def test_a_log_outlives_a_limit_on_the_size_of_files(tmp_path: Path, limits: Iterable[int], tally: Tally) -> None:
    for limit in limits:
        account = Account()
        run = _write(tmp_path, [f"--file-bytes={limit}", "--segment-bytes=1000000"])
        account.read(run.report)
        print(limit, run.code, *account.faults)
        assert run.code in (writer.FINISHED, writer.UNSEALED, writer.UNOPENED)
        assert account.refused or run.code == writer.UNOPENED
        recovered = reopen(tmp_path / "log")
        tally.add(account.kept, recovered, faults=len(account.faults))
        account.check(recovered)
        shutil.rmtree(tmp_path / "log")


def _write(folder: Path, flags: list[str], tracing: list[str] | None = None) -> _Run:
    """Run a writer on the log in `folder`, under strace if it is told what to trace."""
    command = [sys.executable, "-m", writer.__name__, str(folder / "log"), f"--blocks={_BLOCKS}", "--wait", *flags]
    trace = folder / "trace"
    with started(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        with _attached(process.pid, trace, tracing) if tracing else nullcontext():
            report, errors = process.communicate(b"\n", PATIENCE_SECONDS)
    assert b"Traceback" not in errors, errors.decode()
    return _Run(process.returncode, report.decode(), trace.read_text() if tracing else "")


@contextmanager
def _attached(process: int, trace: Path, tracing: list[str]) -> Iterator[None]:
    """Trace a process that waits, so that strace counts nothing of Python's own start."""
    command = ["strace", "-f", "-o", str(trace), *tracing, "-p", str(process)]
    with started(command, stderr=subprocess.PIPE) as strace:
        assert strace.stderr
        assert b"attached" in strace.stderr.readline()
        yield
        strace.wait(PATIENCE_SECONDS)


def _calls(trace: str) -> dict[str, int]:
    """How often each call was made, by the thread that made it most: strace counts threads apart."""
    counts = Counter(re.findall(r"^(\d+) +(\w+)\(", trace, re.MULTILINE))
    calls: dict[str, int] = {}
    for (_, name), times in counts.items():
        calls[name] = max(calls.get(name, 0), times)
    return calls


def _judge_end(call: str, fault: str, account: Account, run: _Run) -> None:
    """A failed fsync ends the writer, a kill does, and a want of room or of descriptors does not."""
    if fault == _KILL:
        assert run.code in (-signal.SIGKILL, writer.FINISHED)
    elif not run.injected:
        assert run.code == writer.FINISHED
    elif call == "fdatasync":
        assert run.code != writer.FINISHED
    elif call == "fsync":  # that of a cursor, or of a segment that is not in use yet, is reported and tried again
        assert run.code != writer.FINISHED or account.faults
    elif fault in (*_NO_ROOM, *_NO_DESCRIPTOR):
        assert run.code in (writer.FINISHED, writer.UNSEALED, writer.UNOPENED)
    else:
        assert run.code in (writer.FINISHED, writer.UNSEALED, writer.UNOPENED, writer.POISONED)
    if run.code == writer.FINISHED and account.refused:
        is_last = account.next - 1 in account.refused
        assert is_last or max(account.acknowledged) > max(account.refused), "nothing is taken any more"
