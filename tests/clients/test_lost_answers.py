"""The answer is lost on its way to an SDK, which sends again: every event is in the log and in a file sink once."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.clients.installed import missing, run
from tests.clients.lost_answers import LostAnswers
from tests.clients.pages import visit
from tests.clients.sdks import SDKS, Sdk, settings
from tests.clients.stored import differences, of_sdk, repeats
from tests.running import Collector, eventually, running

_SLOW = "segment-java"
"""It waits 15 s before it sends again, then 30 and more, which is more than its program's patience."""
_SERVERS = [sdk for sdk in SDKS if sdk.sends_again and not sdk.is_of_pages and not missing(sdk)]
_PAGES = [sdk for sdk in SDKS if sdk.sends_again and sdk.is_of_pages and not missing(sdk)]

pytestmark = [
    pytest.mark.clients,
    pytest.mark.skipif(not _SERVERS, reason="no SDK is installed; run make test-clients"),
]


@pytest.fixture
def node(origin: str, tmp_path: Path) -> Iterator[Collector]:
    """A collector with two workers of its own for each test."""
    with running(tmp_path, 2, settings(origin)) as started:
        yield started


@pytest.mark.parametrize("losses", [1, 2, 3])
def test_an_event_is_stored_once_after_its_answer_was_lost(node: Collector, losses: int) -> None:
    sdks = [sdk for sdk in _SERVERS if sdk.name != _SLOW or losses == 1]
    _send_all(node, sdks, losses, lambda: None)
    _check(node, sdks)
    assert _not_sent_again(node, sdks) == []


def test_an_event_is_stored_once_after_its_answer_was_lost_with_a_killed_worker(node: Collector) -> None:
    sdks = [sdk for sdk in _SERVERS if sdk.name != _SLOW]
    _send_all(node, sdks, 1, threading.Barrier(len(sdks), node.workers()[0].kill).wait)
    _check(node, sdks)
    assert _not_sent_again(node, sdks) == []


def test_an_event_is_stored_once_after_its_answer_was_lost_with_a_killed_node(node: Collector) -> None:
    def kill() -> None:
        node.kill()
        node.start()

    sdks = [sdk for sdk in _SERVERS if sdk.name != _SLOW]
    _send_all(node, sdks, 1, threading.Barrier(len(sdks), kill).wait)
    _check(node, sdks)


@pytest.mark.skipif(not _PAGES, reason="chromium or the SDKs for pages are not installed")
@pytest.mark.parametrize("losses", [1, 2, 3])
def test_an_event_of_a_page_is_stored_once_after_its_answer_was_lost(
    node: Collector, origin: str, browser: Browser, losses: int
) -> None:
    for sdk in _PAGES:
        with closing(LostAnswers(node.port, losses)) as proxy:
            is_done = partial(_came_again, node, sdk, losses)
            visit(browser, origin, sdk, f"http://localhost:{proxy.port}", is_done)
            assert proxy.left == 0, sdk.name
    _check(node, _PAGES)
    assert _not_sent_again(node, _PAGES) == []


def _send_all(node: Collector, sdks: Sequence[Sdk], losses: int, on_loss: Callable[[], object]) -> None:
    """Run the programs of SDKs side by side, each through a proxy of its own that loses answers."""
    with ExitStack() as stack, ThreadPoolExecutor(len(sdks)) as pool:
        proxies = [stack.enter_context(closing(LostAnswers(node.port, losses, on_loss))) for _ in sdks]
        list(pool.map(run, sdks, [f"http://127.0.0.1:{proxy.port}" for proxy in proxies]))
        assert {sdk.name: proxy.left for sdk, proxy in zip(sdks, proxies, strict=True) if proxy.left} == {}


def _came_again(node: Collector, sdk: Sdk, losses: int) -> bool:
    """Whether at least as many events came again as answers were lost, and all calls are stored."""
    return repeats(node, sdk) >= losses and differences(of_sdk(node.stored(), sdk), sdk) == []


def _not_sent_again(node: Collector, sdks: Sequence[Sdk]) -> list[str]:
    """The SDKs of which nothing came again, as far as this node counted since its start."""
    return [sdk.name for sdk in sdks if repeats(node, sdk) == 0]


def _check(node: Collector, sdks: Sequence[Sdk]) -> None:
    stored = node.stored()
    found = {sdk.name: faults for sdk in sdks if (faults := differences(of_sdk(stored, sdk), sdk))}
    assert found == {}
    assert node.dead() == []
    ids = Counter(record["id"] for record in stored)
    eventually(lambda: len(node.shipped()) >= len(ids), "the sink has every event")
    assert Counter(record["id"] for record in node.shipped()) == ids
