"""What a random scene has to cope with: the visitor's handicap, and the weather between page and collector."""

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from tests.tracker import faults
from tests.tracker.faults import Fault, Plan, refuse
from tests.tracker.scripts import CLOCK, NO_LOCKS, NO_STORAGE, SIGNAL

_MOST_FAILURES = 3
"""In a row, so that the wait for the next attempt stays short enough for a test."""
Weather = tuple[tuple[float, Callable[[Random], Fault]], ...]
"""Shares of faults; the rest passes."""


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
WEATHERS: tuple[Weather, ...] = (
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

STORMY: Weather = (
    (0.15, lambda _: refuse(503)),
    (0.1, lambda _: faults.CUT),
    (0.15, lambda _: faults.LOSE),
)


def plan(weather: Weather, random: Random) -> Plan:
    """Draws the faults of requests."""
    in_a_row = 0

    def next_fault() -> Fault:
        nonlocal in_a_row
        fault = _draw(weather, random) if in_a_row < _MOST_FAILURES else faults.PASS
        in_a_row = 0 if fault.is_passed and not fault.is_lost else in_a_row + 1
        return fault

    return next_fault


def _draw(weather: Weather, random: Random) -> Fault:
    left = random.random()
    for share, make in weather:
        left -= share
        if left < 0:
            return make(random)
    return faults.PASS
