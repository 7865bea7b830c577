"""A small index for each test, and the folder of its logs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.dedup.store import IndexStore
from tests.collector.dedup.indexes import small_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[IndexStore]:
    """An index, closed at the end."""
    opened = small_store(tmp_path / "dedup")
    yield opened
    opened.close()
