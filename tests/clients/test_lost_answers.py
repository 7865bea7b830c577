"""The answer is lost on its way to an SDK, which sends again: the log and every sink hold each event once."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.clients.installed import missing, run
from tests.clients.lost_answers import LostAnswers
from tests.clients.pages import visit
from tests.clients.sdks import SDKS, Sdk, settings
from tests.clients.sinks import CURSORS, Sinks
from tests.clients.stored import differences, of_sdk, repeats
from tests.destinations.http import HttpReceiver
from tests.destinations.objects import Bucket, Moto
from tests.kafka.mock import MockCluster
from tests.running import Collector, eventually, running

_SLOW = "segment-java"
"""It waits 15 s before it sends again, then 30 and more, which is more than its program's patience."""
_SERVERS = [sdk for sdk in SDKS if sdk.sends_again and not sdk.is_of_pages and not missing(sdk)]
_LOSSES = [1, *(pytest.param(losses, marks=pytest.mark.torture) for losses in (2, 3))]
_PAGES = [sdk for sdk in SDKS if sdk.sends_again and sdk.is_of_pages and not missing(sdk)]

pytestmark = [
    pytest.mark.clients,
    pytest.mark.skipif(not _SERVERS, reason="no SDK is installed; run make test-clients"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[MockCluster]:
    with closing(MockCluster(CURSORS)) as started:
        yield started


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    with closing(Moto(tmp_path_factory.mktemp("moto"))) as started:
        yield started


@pytest.fixture
def sinks(cluster: MockCluster, moto: Moto, tmp_path: Path) -> Iterator[Sinks]:
    with closing(Sinks(HttpReceiver(tmp_path), cluster, Bucket(moto))) as made:
        yield made


@pytest.fixture
def node(origin: str, sinks: Sinks, tmp_path: Path) -> Iterator[Collector]:
    """A collector with two workers of its own for each test."""
    with running(tmp_path, 2, f"{settings(origin)}\n{sinks.settings()}") as started:
        yield started


@pytest.mark.parametrize("losses", _LOSSES)
def test_an_event_is_stored_once_after_its_answer_was_lost(node: Collector, sinks: Sinks, losses: int) -> None:
    sdks = [sdk for sdk in _SERVERS if sdk.name != _SLOW or losses == 1]
    _send_all(node, sdks, losses, lambda: None)
    assert _not_sent_again(node, sdks) == []
    _check(node, sinks, sdks)


def test_an_event_is_stored_once_after_its_answer_was_lost_with_a_killed_worker(node: Collector, sinks: Sinks) -> None:
    sdks = [sdk for sdk in _SERVERS if sdk.name != _SLOW]
    _send_all_with_a_kill(node, sinks, sdks, node.workers()[0].kill)
    assert _not_sent_again(node, sdks) == []
    _check(node, sinks, sdks)


def test_an_event_is_stored_once_after_its_answer_was_lost_with_a_killed_node(node: Collector, sinks: Sinks) -> None:
    def kill() -> None:
        node.kill()
        node.start()

    sdks = [sdk for sdk in _SERVERS if sdk.name != _SLOW]
    _send_all_with_a_kill(node, sinks, sdks, kill)
    _check(node, sinks, sdks)


@pytest.mark.skipif(not _PAGES, reason="chromium or the SDKs for pages are not installed")
@pytest.mark.parametrize("losses", _LOSSES)
def test_an_event_of_a_page_is_stored_once_after_its_answer_was_lost(
    node: Collector, sinks: Sinks, origin: str, browser: Browser, losses: int
) -> None:
    for sdk in _PAGES:
        with closing(LostAnswers(node.port, losses)) as proxy:
            is_done = partial(_came_again, node, sdk, losses)
            visit(browser, origin, sdk, f"http://localhost:{proxy.port}", is_done)
            assert proxy.left == 0, sdk.name
    assert _not_sent_again(node, _PAGES) == []
    _check(node, sinks, _PAGES)


def _send_all(node: Collector, sdks: Sequence[Sdk], losses: int, on_loss: Callable[[], object]) -> None:
    """Run the programs of SDKs side by side, each through a proxy of its own that loses answers."""
    with ExitStack() as stack, ThreadPoolExecutor(len(sdks)) as pool:
        proxies = [stack.enter_context(closing(LostAnswers(node.port, losses, on_loss))) for _ in sdks]
        list(pool.map(run, sdks, [f"http://127.0.0.1:{proxy.port}" for proxy in proxies]))
        assert {sdk.name: proxy.left for sdk, proxy in zip(sdks, proxies, strict=True) if proxy.left} == {}


def _send_all_with_a_kill(node: Collector, sinks: Sinks, sdks: Sequence[Sdk], kill: Callable[[], None]) -> None:
    """Run the programs, and kill once each of them has lost an answer.

    Kafka is down until then: the mock cluster would show the events of a transaction that the kill leaves open.
    """

    def kill_then_bring_up() -> None:
        kill()
        sinks.cluster.up()

    sinks.cluster.down()
    _send_all(node, sdks, 1, threading.Barrier(len(sdks), kill_then_bring_up).wait)


def _came_again(node: Collector, sdk: Sdk, losses: int) -> bool:
    """Whether at least as many events came again as answers were lost, and all calls are stored."""
    return repeats(node, sdk) >= losses and differences(of_sdk(node.stored(), sdk), sdk) == []


def _not_sent_again(node: Collector, sdks: Sequence[Sdk]) -> list[str]:
    """The SDKs of which nothing came again, as far as this node counted since its start."""
    return [sdk.name for sdk in sdks if repeats(node, sdk) == 0]


def _check(node: Collector, sinks: Sinks, sdks: Sequence[Sdk]) -> None:
    """Stops the collector, so that nothing arrives after the count."""
    stored = node.stored()
    found = {sdk.name: faults for sdk in sdks if (faults := differences(of_sdk(stored, sdk), sdk))}
    assert found == {}
    assert node.dead() == []
    once = _times(stored)
    assert set(once.values()) == {1}
    readers: dict[str, Callable[[], Iterable[dict[str, Any]]]] = {"file": node.shipped, **sinks.readers()}
    for name, reader in readers.items():
        eventually(partial(_holds, reader, once), f"the {name} sink has every event")
    assert node.stop() == 0
    surplus = {name: more for name, reader in readers.items() if (more := _times(reader()) - once)}
    assert surplus == {}


def _holds(reader: Callable[[], Iterable[dict[str, Any]]], once: Counter[tuple[int, str]]) -> bool:
    return _times(reader()) >= once


def _times(records: Iterable[dict[str, Any]]) -> Counter[tuple[int, str]]:
    """How often each event is there, by its property and the id that the SDK gave it."""
    return Counter((record["prop_id"], record["event_id"]) for record in records)
