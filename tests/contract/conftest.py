"""One running collector for all requests of the contract: under our HTTP protocol, and under plain ASGI servers."""

from collections.abc import Iterator

import pytest

from tests.running import Collector, running


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A collector with two workers."""
    with running(tmp_path_factory.mktemp("contract")) as collector:
        yield collector


@pytest.fixture(scope="session", params=["collector", "uvicorn", "hypercorn"])
def collector(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, ours: Collector
) -> Iterator[Collector]:
    """The collector under every server."""
    if request.param == "collector":
        yield ours
    else:
        with running(tmp_path_factory.mktemp(request.param), server=request.param) as collector:
            yield collector
