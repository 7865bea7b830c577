"""Scenes that take minutes: a frozen tab, killed browsers, and hours of visits in small."""

import os
import random
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.running import eventually
from tests.tracker import chromium, faults
from tests.tracker.background import Background
from tests.tracker.chromium import Chromium, ChromiumTab
from tests.tracker.conditions import HANDICAPS, STORMY, plan
from tests.tracker.random_scenes import end, faults_of
from tests.tracker.scene import Scene, Site
from tests.tracker.steps import Stage, steps_of
from tests.tracker.totals import Total

_SOAK_MINUTES = float(os.environ.get("TRACKLOG_SOAK_MINUTES", "10"))
_MOST_GROWTH = 1 << 20

pytestmark = [
    pytest.mark.torture,
    pytest.mark.skipif(
        chromium.PROGRAM is None, reason="chromium is not installed; on Debian: apt-get install chromium"
    ),
]


def test_others_go_on_when_the_tab_that_sends_is_frozen(scene: Scene) -> None:
    """It keeps the lock, which another tab takes away from it."""
    scene.proxy.faults.append(faults.HANG)
    holder = scene.open()
    scene.track(holder, 2)
    eventually(lambda: scene.proxy.flying == 1, "a request hangs")
    other = scene.open()
    assert isinstance(holder, ChromiumTab)
    holder.freeze()
    scene.track(other, 2)
    other.until("queue().length === 0", seconds=60)
    assert scene.verdict().stored == 4
    scene.check()


@pytest.mark.parametrize("seconds", [0, 3, 8])
def test_a_killed_browser_sends_after_its_restart_what_it_had_written(
    background: Background, where: Site, tmp_path: Path, totals: Callable[[str], Total], seconds: int
) -> None:
    """Chromium writes its storage to the disk seconds later, so the table tells what was missing."""
    first = Chromium(background, tmp_path)
    with closing(first), closing(Scene(where, first.owner())) as scene:
        tab = scene.open()
        scene.proxy.down()
        scene.track(tab, 5)
        time.sleep(seconds)
        first.kill()
        scene.proxy.up()
        with closing(Chromium(background, tmp_path)) as second:
            scene.visitor = second.owner()
            scene.drain(scene.open())
            verdict = scene.verdict()
    totals(f"browser killed after {seconds} s").add(verdict, 0)
    assert verdict.twice == []


@pytest.mark.timeout(_SOAK_MINUTES * 60 + 300)
def test_minutes_of_visits_lose_nothing_and_need_no_more_memory(scene: Scene, totals: Callable[[str], Total]) -> None:
    """One tab is hidden all the time, where timers are throttled; three others come and go."""
    chance = random.Random(os.environ.get("TRACKLOG_SEED"))
    hidden = scene.open()
    assert isinstance(hidden, ChromiumTab)
    hidden.js("void (sendAndSay(10), window.timer = setInterval(() => sendAndSay(1), 1000))")
    scene.drain(hidden)
    before = hidden.heap()
    scene.proxy.plan = plan(STORMY, chance)
    stage = Stage(scene, chance, HANDICAPS[0])
    for _ in range(3):
        stage.open()
    steps = _wander(stage, time.monotonic() + _SOAK_MINUTES * 60)
    scene.proxy.plan = lambda: faults.PASS
    hidden.js("clearInterval(window.timer)")
    outcome = end(stage, "soak", steps)
    growth = hidden.heap() - before
    verdict = scene.verdict()
    totals(f"{_SOAK_MINUTES:g} min in 4 tabs").add(verdict, outcome.seconds)
    print(f"\nheap of the tab that stayed: {before / 1024:.0f} KiB, then {growth / 1024:+.0f} KiB")
    assert faults_of(outcome, verdict) == []
    assert growth <= _MOST_GROWTH


def _wander(stage: Stage, until: float) -> list[tuple[str, set[str]]]:
    """Steps at random, seldom enough for a visitor. Returns each step, and the ids that were known at its end."""
    done = []
    steps, weights = zip(*steps_of(stage), strict=True)
    while time.monotonic() < until:
        (step,) = stage.random.choices(steps, weights)
        step(stage)
        done.append((step.__name__.strip("_"), stage.scene.returned()))
        time.sleep(stage.random.uniform(0, 1))
    return done
