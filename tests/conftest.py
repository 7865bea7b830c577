"""What holds for all tests."""

import contextlib
import gc
import importlib
import os
import re
import signal
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

_ROOT = Path(__file__).parents[1]
_STARTS_A_PROCESS = re.compile(r"\b(running|started|console_node)\(|PROGRAMS|tests\.(destinations|kafka)|subprocess\.")
_FOR_ANY_WORKER = re.compile(
    r"tests/(bench/test_bench|collector/ingest/test_memory|crash/test_(full_disk|kill)|docs/test_running)\.py::"
    r"|tests/collector/ship/test_every_sink\.py::(?!.*kafka)"
)
"""Long tests that share nothing with the others of their file."""

# on a busy machine every draw is slow
hypothesis.settings.register_profile("tests", suppress_health_check=[hypothesis.HealthCheck.too_slow], deadline=None)
hypothesis.settings.load_profile("tests")


def pytest_configure(config: pytest.Config) -> None:
    """Let Ctrl-C reach the processes that tests start, and let these find compiled modules.

    A shell starts what runs in its background with SIGINT ignored, and a child inherits that, as it does a blocked one.
    SIGTERM ends a run as Ctrl-C does, so that fixtures stop what they started.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Without it, each of the hundreds of processes compiles all modules again: half of their CPU time.
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
        os.environ["PYTHONPYCACHEPREFIX"] = str(config.rootpath / "build/bytecode")
    config.add_cleanup(gc.unfreeze)  # libraries report what is left at the end


def pytest_sessionstart(session: pytest.Session) -> None:
    """Import a share of the test files in each worker of pytest-xdist, before each imports all of them.

    Rewriting the asserts of new files is more than half of a collection; whoever comes later finds it done.
    """
    worker: dict[str, Any] = getattr(session.config, "workerinput", {})
    if worker:
        files = [file for argument in session.config.args for file in sorted(_files_of(argument))]
        for file in files[int(worker["workerid"].removeprefix("gw")) :: worker["workercount"]]:
            with contextlib.suppress(Exception, pytest.skip.Exception):  # the collection reports it
                importlib.import_module(".".join(file.relative_to(_ROOT).with_suffix("").parts))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files with processes first, which take longest, so that workers of pytest-xdist end at the same time."""
    items.sort(key=lambda item: not _starts_a_process(item.path))


def pytest_collection_finish() -> None:
    """Leave the millions of objects of modules and tests out of garbage collections.

    They took a tenth of the CPU time.
    """
    gc.collect()
    gc.freeze()


class _Scheduling(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """A worker runs a whole file, whose tests share a broker or a browser, except for long tests that need none."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid if _FOR_ANY_WORKER.match(nodeid) else str(super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    """Replace `--dist loadfile`."""
    return _Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown() -> None:
    """Outlive closed pipes again, and take SIGHUP: a command that a test ran in this process has changed that."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


def _files_of(argument: str) -> Iterable[Path]:
    path = (_ROOT / argument.partition("::")[0]).resolve()
    return [path] if path.is_file() else path.rglob("test_*.py")


@cache
def _starts_a_process(path: Path) -> bool:
    return _STARTS_A_PROCESS.search(path.read_text()) is not None
