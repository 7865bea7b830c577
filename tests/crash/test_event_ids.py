"""The index of event ids through random crashes, against what the logs hold.

`TRACKLOG_CASES` sets how many cases the long sweep runs, `TRACKLOG_SEED` makes both sweeps repeat one case alone.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator

import pytest

from tests.crash.event_ids import run_cases

_NUMBERS = ("cases", "crashes", "power cuts", "restores", "failed commits", "failed appends", "duplicates", "gone")


@pytest.fixture
def directory() -> Iterator[str]:
    """A folder in memory where there is one: a case opens a dozen files."""
    path = tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    yield path
    shutil.rmtree(path)


def test_no_duplicate_is_false_or_missed_in_some_hundred_random_cases(
    directory: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _sweep(400, directory, capsys)


@pytest.mark.torture
@pytest.mark.timeout(3600)
def test_no_duplicate_is_false_or_missed_in_any_random_case(directory: str, capsys: pytest.CaptureFixture[str]) -> None:
    _sweep(int(os.environ.get("TRACKLOG_CASES", "100000")), directory, capsys)


def _sweep(count: int, directory: str, capsys: pytest.CaptureFixture[str]) -> None:
    seed = os.environ.get("TRACKLOG_SEED")
    started = time.perf_counter()
    tally = run_cases(1, int(seed), directory) if seed else run_cases(count, 0, directory)
    numbers = ", ".join(f"{name} {tally[name]:,}" for name in _NUMBERS)
    with capsys.disabled():
        print(f"\nevent ids: {numbers}; {time.perf_counter() - started:.0f} s")
    assert tally["durable"] > 0 or seed
