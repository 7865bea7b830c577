"""A node to look at."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector.ops.console.node import Node


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A data folder without a log."""
    node = Node(tmp_path)
    yield node
    node.close()
