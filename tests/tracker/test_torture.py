"""Random scenes by the hundred, over a collector that is killed and started again meanwhile."""

import os
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.running import Collector
from tests.tracker import chromium, firefox
from tests.tracker.background import Background
from tests.tracker.browser import Browser
from tests.tracker.conditions import HANDICAPS
from tests.tracker.random_scenes import Outcome, faults_of, play
from tests.tracker.scene import Scene, Site, site
from tests.tracker.totals import Total

_SCENES = int(os.environ.get("TRACKLOG_SCENES", "240"))
_SEED = os.environ.get("TRACKLOG_SEED") or str(random.randrange(10**6))
_AT_ONCE = 8
_SHARE_OF_FIREFOX = 0.2
_SECONDS_BETWEEN_KILLS = 15.0

pytestmark = [
    pytest.mark.torture,
    pytest.mark.skipif(
        chromium.PROGRAM is None, reason="chromium is not installed; on Debian: apt-get install chromium"
    ),
]


@pytest.fixture
def killed(background: Background, tmp_path: Path) -> Iterator[Site]:
    """Pages, and a collector that is killed and started again all the time."""
    with site(background, tmp_path) as where, _killing(where.collector):
        yield where


@contextmanager
def _killing(collector: Collector) -> Iterator[None]:
    is_over = threading.Event()

    def kill() -> None:
        while not is_over.wait(_SECONDS_BETWEEN_KILLS):
            collector.kill()
            collector.start()

    with ThreadPoolExecutor(1) as pool:
        killer = pool.submit(kill)
        try:
            yield
        finally:
            is_over.set()
            killer.result()


@pytest.mark.timeout(3600)
def test_every_event_of_random_scenes_is_stored_once(
    killed: Site, browsers: Callable[[str], Browser], totals: Callable[[str], Total]
) -> None:
    print(f"\nTRACKLOG_SEED={_SEED} TRACKLOG_SCENES={_SCENES}")
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        outcomes = list(pool.map(lambda number: _play(killed, browsers, number), range(_SCENES)))
    records = killed.collector.stored()
    broken: list[str] = []
    for each in outcomes:
        verdict = each.scene.verdict(records)
        for kind in (f"{each.label.partition(' ')[0]}, {each.handicap}", "all"):
            totals(kind).add(verdict, each.seconds)
        broken += faults_of(each, verdict)
    assert broken == []


def _play(where: Site, browsers: Callable[[str], Browser], number: int) -> Outcome:
    """One scene; which one follows from the seed and its number."""
    seed = f"{_SEED}:{number}"
    chosen = random.Random(seed)
    has_firefox = firefox.PROGRAM is not None and chosen.random() < _SHARE_OF_FIREFOX
    (handicap,) = chosen.choices(HANDICAPS, [each.weight for each in HANDICAPS])
    browser = browsers("firefox" if has_firefox else "chromium")
    label = f"{browser.name} {seed}"
    with closing(Scene(where, browser.visitor())) as scene:
        try:
            return play(scene, label, handicap, seed)
        except Exception as error:
            raise AssertionError(f"{label} ({handicap.name}) did not come to its end") from error
