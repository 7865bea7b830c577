"""A random scene from a seed: a visitor with some handicap, weather between the page and the collector, and steps."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from tests.tracker import faults
from tests.tracker.browser import Tab
from tests.tracker.chromium import ChromiumTab
from tests.tracker.faults import Fault, Plan, refuse
from tests.tracker.scene import Scene, Verdict
from tests.tracker.scripts import CLOCK, DAY, FILL, NO_LOCKS, NO_STORAGE, SIGNAL

_STEPS = (9, 16)
"""Least and most."""
_MOST_EVENTS = 14
"""Of one moment."""
_MOST_FAILURES = 3
"""In a row, so that the wait for the next attempt stays short enough for a test."""
_DRAIN_SECONDS = 90.0


class Handicap(NamedTuple):
    """What is special about a visitor."""

    name: str
    weight: int
    before: str = ""
    """Script that runs before those of the page."""
    host: str = "127.0.0.1"
    consent: str = "granted"
    is_kept: bool = True
    """The queue outlives the page."""


HANDICAPS = (
    Handicap("none", 45),
    Handicap("clock ±1 day", 12, CLOCK),
    Handicap("no locks", 8, NO_LOCKS),
    Handicap("plain http", 8, host="shop.test"),
    Handicap("storage denied", 8, NO_STORAGE, is_kept=False),
    Handicap("storage full", 8, is_kept=False),
    Handicap("GPC", 6, SIGNAL, is_kept=False),
    Handicap("consent denied", 5, consent="denied"),
)
_WEATHERS: tuple[tuple[tuple[float, Callable[[Random], Fault]], ...], ...] = (
    (),
    ((1.0, lambda random: faults.delay(random.uniform(0, 2))),),
    ((0.2, lambda _: refuse(503)), (0.2, lambda random: refuse(random.choice((429, 503)), random.randint(1, 2)))),
    ((0.25, lambda _: faults.CUT), (0.25, lambda _: faults.LOSE)),
    (
        (0.1, lambda random: refuse(random.choice((408, 500, 502, 504)))),
        (0.1, lambda random: refuse(random.choice((429, 503)), random.randint(1, 2))),
        (0.1, lambda _: faults.CUT),
        (0.1, lambda _: faults.LOSE),
        (0.1, lambda random: random.choice((faults.PORTAL, faults.GARBAGE, faults.STORED_503))),
        (0.1, lambda random: faults.delay(random.uniform(0, 1))),
    ),
)
"""Shares of faults; the rest passes."""


@dataclass
class Outcome:
    """What a scene ended in."""

    label: str
    handicap: str
    scene: Scene
    seconds: float
    """From the last fault until the queue was empty."""
    left: int
    """Events that were still queued."""
    device: dict[str, str]
    """What was on the device at the end."""
    steps: list[tuple[str, set[str]]]
    """The name of each step, and the ids that were known to be returned at its end."""


class _Stage:
    """A scene that goes on."""

    def __init__(self, scene: Scene, random: Random, handicap: Handicap) -> None:
        self.scene = scene
        self.random = random
        self.handicap = handicap
        self.tabs: list[Tab] = []
        self.steps: list[tuple[str, set[str]]] = []

    def open(self) -> Tab:
        """One more tab."""
        path = f"page{self.random.randrange(1000)}"
        before, host, consent = self.handicap.before, self.handicap.host, self.handicap.consent
        tab = self.scene.open(path, host, before, consent=consent)
        if self.handicap.name == "storage full":
            tab.js(FILL)
        self.tabs.append(tab)
        return tab

    def some_tab(self) -> Tab:
        """Any that is open."""
        return self.random.choice(self.tabs)

    def some(self) -> int:
        """A number of events."""
        return self.random.randint(1, _MOST_EVENTS)


def play(scene: Scene, label: str, handicap: Handicap, seed: str) -> Outcome:
    """Play a scene to its end: after the last step all faults are over, and the queue has time to become empty."""
    random = Random(seed)
    stage = _Stage(scene, random, handicap)
    scene.proxy.plan = _plan(random)
    for _ in range(random.choice((1, 1, 2, 2, 5))):
        stage.open()
    steps, weights = zip(*_steps(stage), strict=True)
    for step in random.choices(steps, weights, k=random.randint(*_STEPS)):
        step(stage)
        stage.steps.append((step.__name__.strip("_"), scene.returned()))
    scene.proxy.plan = lambda: faults.PASS
    return _end(stage, label)


def _plan(random: Random) -> Plan:
    weather = random.choice(_WEATHERS)
    in_a_row = 0

    def next_fault() -> Fault:
        nonlocal in_a_row
        fault = _draw(weather, random) if in_a_row < _MOST_FAILURES else faults.PASS
        in_a_row = 0 if fault.is_passed and not fault.is_lost else in_a_row + 1
        return fault

    return next_fault


def _draw(weather: tuple[tuple[float, Callable[[Random], Fault]], ...], random: Random) -> Fault:
    left = random.random()
    for share, make in weather:
        left -= share
        if left < 0:
            return make(random)
    return faults.PASS


def _end(stage: _Stage, label: str) -> Outcome:
    """Wait in the tabs, or in a new one if the queue outlives them."""
    began = time.monotonic()
    last = [stage.open()] if stage.handicap.is_kept else stage.tabs
    left = sum(_left(tab, began + _DRAIN_SECONDS) for tab in last)
    device: dict[str, str] = last[0].js("device()")
    return Outcome(label, stage.handicap.name, stage.scene, time.monotonic() - began, left, device, stage.steps)


def _left(tab: Tab, deadline: float) -> int:
    """The events that a tab knows of once none is left, or at the deadline."""
    while True:
        stats = tab.js("tracklog('stats')")
        if not stats["queued"] or time.monotonic() > deadline:
            return int(stats["queued"])
        time.sleep(0.1)


Step = Callable[[_Stage], object]


def _steps(stage: _Stage) -> Iterator[tuple[Step, int]]:
    """What may happen, and how often."""
    yield from ((_track, 10), (_wait, 3), (_go_offline, 2), (_take_down, 1), (_hide, 1), (_cut, 1))
    if stage.handicap.is_kept:
        yield from ((_reload, 2), (_follow, 2), (_go_back, 1), (_close, 2), (_open, 1))
        if isinstance(stage.tabs[0], ChromiumTab):
            yield (_crash, 1)
    if stage.handicap.before == CLOCK:
        yield (_jump, 4)


def _track(stage: _Stage) -> None:
    stage.scene.track(stage.some_tab(), stage.some())


def _wait(stage: _Stage) -> None:
    time.sleep(stage.random.uniform(0, 0.6))


def _go_offline(stage: _Stage) -> None:
    tab = stage.some_tab()
    tab.set_offline(True)
    stage.scene.track(tab, stage.some())
    _wait(stage)
    tab.set_offline(False)


def _take_down(stage: _Stage) -> None:
    stage.scene.proxy.down()
    stage.scene.track(stage.some_tab(), stage.some())
    _wait(stage)
    stage.scene.proxy.up()


def _cut(stage: _Stage) -> None:
    """Whatever is in flight, and what comes soon."""
    stage.scene.proxy.down()
    stage.scene.proxy.up()


def _hide(stage: _Stage) -> None:
    stage.scene.track(stage.some_tab(), stage.some())
    stage.scene.visitor.open().close()


def _reload(stage: _Stage) -> None:
    tab = stage.some_tab()
    tab.js(f"void (window.isOld = true, sendAndSay({stage.some()}), setTimeout(() => location.reload()))")
    tab.until("!window.isOld && document.readyState === 'complete'")


def _follow(stage: _Stage) -> None:
    tab = stage.some_tab()
    tab.js(f"void sendAndSay({stage.some()})")
    tab.go(stage.scene.url(f"page{stage.random.randrange(1000)}", stage.handicap.host, consent=stage.handicap.consent))


def _go_back(stage: _Stage) -> None:
    tab = stage.some_tab()
    _follow(stage)
    if tab.js("history.length") > 2:
        stage.scene.track(tab, stage.some())
        tab.back()


def _close(stage: _Stage) -> None:
    tab = stage.some_tab()
    stage.scene.track(tab, stage.some())
    tab.close()
    stage.tabs.remove(tab)
    if not stage.tabs:
        stage.open()


def _open(stage: _Stage) -> None:
    stage.scene.track(stage.open(), stage.some())


def _crash(stage: _Stage) -> None:
    tab = stage.some_tab()
    stage.scene.track(tab, stage.some())
    assert isinstance(tab, ChromiumTab)
    tab.crash()
    tab.close()
    stage.tabs.remove(tab)
    stage.open()


def _jump(stage: _Stage) -> None:
    """The clock goes wrong until the page is left, or right again."""
    tab = stage.some_tab()
    tab.js(f"window.shift = {stage.random.choice((DAY, -DAY, 0))}")
    stage.scene.track(tab, stage.some())


def faults_of(outcome: Outcome, verdict: Verdict) -> list[str]:
    """All that a scene broke."""
    found = [] if verdict.is_kept else [f"missing {_steps_of(outcome, verdict.missing)}, twice {verdict.twice}"]
    if outcome.left:
        found.append(f"{outcome.left} events are queued {outcome.seconds:.0f} s after the last fault")
    found += outcome.scene.errors()
    if outcome.handicap in ("consent denied", "GPC", "storage denied") and outcome.device:
        found.append(f"on the device: {sorted(outcome.device)}")
    if outcome.handicap == "consent denied" and outcome.scene.proxy.received:
        found.append(f"{len(outcome.scene.proxy.received)} requests without consent")
    return [f"{outcome.label} ({outcome.handicap}): {each}" for each in found]


def _steps_of(outcome: Outcome, ids: list[str]) -> list[str]:
    """All steps, and beside them how many of these events they returned."""
    known: set[str] = set()
    found = []
    for name, returned in outcome.steps:
        found.append(f"{name}: {len(set(ids) & returned - known)}" if set(ids) & returned - known else name)
        known |= returned
    return found
