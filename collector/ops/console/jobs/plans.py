"""Plans: the frozen selection of a preview, so that the job takes that and nothing else. Each runs once."""

import secrets
import threading
import time
from collections.abc import Callable
from typing import Final, Literal

import msgspec
from msgspec import Struct

from collector.ops.console.api.refusals import refused

JobKind = Literal["redrive", "replay"]
PLAN_SECONDS: Final = 600.0
_MOST_PLANS: Final = 100
"""The oldest one is forgotten first."""


class JobPlan(Struct, frozen=True):
    """A command of `collector` with its frozen selection, and how much there is to do."""

    kind: JobKind
    title: str
    arguments: tuple[str, ...]
    request: msgspec.Raw
    """The body of the preview."""
    total: int
    label: str = ""
    """Jobs with the same label are the same replay."""


class Plans:
    """Holds plans until they run or expire. Threads may share it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds."""
        self._clock = clock
        self._plans: dict[str, tuple[float, JobPlan]] = {}
        self._guard = threading.Lock()

    def add(self, plan: JobPlan) -> str:
        """Keep a plan; returns its name."""
        name = secrets.token_hex(8)
        with self._guard:
            if len(self._plans) >= _MOST_PLANS:
                del self._plans[next(iter(self._plans))]
            self._plans[name] = self._clock() + PLAN_SECONDS, plan
        return name

    def find(self, name: str) -> JobPlan:
        """The plan of a name. Raises Rejected if it has expired or run."""
        with self._guard:
            end, plan = self._plans.get(name, (0.0, None))
            if plan is None or self._clock() >= end:
                raise refused("expired", "this preview has expired, or has run already: make another one")
            return plan

    def drop(self, name: str) -> None:
        """Forget a plan that has run."""
        with self._guard:
            self._plans.pop(name, None)
