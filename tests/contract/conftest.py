"""One running collector for all requests of the contract: under our HTTP protocol, and under plain ASGI servers."""

from collections.abc import Iterator

import pytest

from tests.running import Collector, running


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A collector with two workers."""
    with running(tmp_path_factory.mktemp("contract")) as collector:
        yield collector


_PLAIN = ("uvicorn", "hypercorn")


@pytest.fixture(scope="session", params=["collector", *_PLAIN])
def collector(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, ours: Collector
) -> Iterator[Collector]:
    """The collector under every server."""
    yield from _under(request, tmp_path_factory, ours)


@pytest.fixture(
    scope="session", params=["collector", *(pytest.param(name, marks=pytest.mark.torture) for name in _PLAIN)]
)
def collector_at_length(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, ours: Collector
) -> Iterator[Collector]:
    """The collector under our server, and in the long tests under every other."""
    yield from _under(request, tmp_path_factory, ours)


def _under(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, ours: Collector
) -> Iterator[Collector]:
    if request.param == "collector":
        yield ours
    else:
        with running(tmp_path_factory.mktemp(request.param), server=request.param) as collector:
            yield collector
