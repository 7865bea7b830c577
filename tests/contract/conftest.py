"""One running collector for all requests of the contract."""

from collections.abc import Iterator

import pytest

from tests.running import Collector, running


@pytest.fixture(scope="session")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A collector with two workers."""
    with running(tmp_path_factory.mktemp("contract")) as collector:
        yield collector
