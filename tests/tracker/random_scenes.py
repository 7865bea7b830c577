"""A random scene from a seed: a visitor with some handicap, weather between the page and the collector, and steps."""

import time
from dataclasses import dataclass
from random import Random

from tests.tracker import faults
from tests.tracker.browser import Tab
from tests.tracker.conditions import WEATHERS, Handicap, plan
from tests.tracker.scene import Scene, Verdict
from tests.tracker.steps import Stage, steps_of

_STEPS = (9, 16)
"""Least and most."""
_DRAIN_SECONDS = 200.0
"""A page that never had an answer waits a minute between two requests, and the collector may be dead at one of them."""


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
    lost: int
    """Events that the device has counted as lost, and no further event has carried the count."""
    device: dict[str, str]
    """What was on the device at the end."""
    steps: list[tuple[str, set[str]]]
    """The name of each step, and the ids that were known to be returned at its end."""


def play(scene: Scene, label: str, handicap: Handicap, seed: str) -> Outcome:
    """Play a scene to its end: after the last step all faults are over, and the queue has time to become empty."""
    random = Random(seed)
    stage = Stage(scene, random, handicap)
    scene.proxy.plan = plan(random.choice(WEATHERS), random)
    for _ in range(random.choice((1, 1, 2, 2, 5))):
        stage.open()
    known: list[tuple[str, set[str]]] = []
    steps, weights = zip(*steps_of(stage), strict=True)
    for step in random.choices(steps, weights, k=random.randint(*_STEPS)):
        step(stage)
        known.append((step.__name__.strip("_"), scene.returned()))
    scene.proxy.plan = lambda: faults.PASS
    return end(stage, label, known)


def end(stage: Stage, label: str, steps: list[tuple[str, set[str]]]) -> Outcome:
    """Wait in the tabs, or in a new one if the queue outlives them."""
    began = time.monotonic()
    last = [stage.open()] if stage.handicap.is_kept else stage.tabs
    left = sum(_left(tab, began + _DRAIN_SECONDS) for tab in last)
    # a device has one count, and so has each tab of a visitor whose storage keeps nothing
    lost = sum(tab.js("tracklog('stats').lost") for tab in last)
    device: dict[str, str] = last[0].js("device()")
    return Outcome(label, stage.handicap.name, stage.scene, time.monotonic() - began, left, lost, device, steps)


def _left(tab: Tab, deadline: float) -> int:
    """The events that a tab knows of once none is left, or at the deadline."""
    while True:
        stats = tab.js("tracklog('stats')")
        if not stats["queued"] or time.monotonic() > deadline:
            return int(stats["queued"])
        time.sleep(0.1)


def faults_of(outcome: Outcome, verdict: Verdict) -> list[str]:
    """All that a scene broke."""
    found: list[str] = []
    if not verdict._replace(lost=verdict.lost + outcome.lost).is_kept:
        found.append(
            f"missing {_steps_of(outcome, verdict.missing)}, {_fates(outcome, verdict)}, twice {verdict.twice}"
        )
    if outcome.left:
        found.append(f"{outcome.left} events are queued {outcome.seconds:.0f} s after the last fault")
    found += outcome.scene.errors()
    if outcome.handicap in ("consent denied", "GPC", "storage denied") and outcome.device:
        found.append(f"on the device: {sorted(outcome.device)}")
    if outcome.handicap == "consent denied" and outcome.scene.proxy.received:
        found.append(f"{len(outcome.scene.proxy.received)} requests without consent")
    return [f"{outcome.label} ({outcome.handicap}): {each}" for each in found]


def _fates(outcome: Outcome, verdict: Verdict) -> list[list[str]]:
    return [outcome.scene.fate(each) for each in verdict.missing]


def _steps_of(outcome: Outcome, ids: list[str]) -> list[str]:
    """All steps, and beside them how many of these events they returned."""
    known: set[str] = set()
    found = []
    for name, returned in outcome.steps:
        found.append(f"{name}: {len(set(ids) & returned - known)}" if set(ids) & returned - known else name)
        known |= returned
    return found
