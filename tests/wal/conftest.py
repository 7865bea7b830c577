"""A folder for a log, and files that fail on demand."""

from pathlib import Path

import pytest

from tests.wal.faulty_files import FaultyFiles
from tests.wal.logs import Clock


@pytest.fixture
def directory(tmp_path: Path) -> str:
    """Where a log can be; nothing is there yet."""
    return str(tmp_path / "log")


@pytest.fixture
def files() -> FaultyFiles:
    return FaultyFiles()


@pytest.fixture
def clock() -> Clock:
    return Clock()
