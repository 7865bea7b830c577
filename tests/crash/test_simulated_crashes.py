"""The log on a simulated disk: crashes at any system call, failing disks, damaged media, and what is left of it all.

`TRACKLOG_CASES` sets how many cases the long sweep runs, `TRACKLOG_SEED` makes both sweeps repeat one case alone.
"""

import os
import time
from collections import Counter
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.crash.cases import ACTIONS, arm, closing_line, die, run_case, run_cases, survives
from tests.crash.history import History
from tests.crash.media import DAMAGES, damage_media
from tests.crash.simulated_disk import SimulatedFiles
from tests.crash.simulated_storage import Disk
from tests.crash.violation import Violation
from wal.errors import WalError

_SEEDS = st.integers(0, 1 << 32)


class LogMachine(RuleBasedStateMachine):
    """The rules are what a collector does with its log, and what becomes of it meanwhile."""

    @initialize(seed=_SEEDS, is_journaled=st.booleans())
    def create(self, seed: int, is_journaled: bool) -> None:
        random = Random(seed)
        self.history = History(random, SimulatedFiles(random, Disk(is_journaled)), Counter())

    @precondition(lambda self: self.history.log is None)
    @rule(seed=_SEEDS, has_faults=st.booleans())
    def start(self, seed: int, has_faults: bool) -> None:
        self.history.random.seed(seed)
        if has_faults:
            arm(self.history.random, self.history.files)
        self._do(History.start)

    @precondition(lambda self: self.history.log is not None)
    @rule(seed=_SEEDS, action=st.sampled_from((*ACTIONS, History.stop)))
    def act(self, seed: int, action: Callable[[History], None]) -> None:
        self.history.random.seed(seed)
        self._do(action)
        if action is History.stop and self.history.log is not None:
            self.history.kill()

    @precondition(lambda self: self.history.log is not None)
    @rule(seed=_SEEDS)
    def die(self, seed: int) -> None:
        self.history.random.seed(seed)
        die(self.history)

    @precondition(lambda self: self.history.is_at_rest)
    @rule(seed=_SEEDS)
    def recover_with_a_crash(self, seed: int) -> None:
        self.history.random.seed(seed)
        self.history.check_recovery_is_idempotent()

    @precondition(lambda self: self.history.is_at_rest and not self.history.is_unseen)
    @rule(seed=_SEEDS, damage=st.sampled_from(DAMAGES))
    def damage(self, seed: int, damage: Callable[[History], None]) -> None:
        self.history.random.seed(seed)
        damage_media(self.history, damage)

    @invariant()
    def every_prefix_is_json(self) -> None:
        if hasattr(self, "history") and self.history.log is not None and not self.history.is_damaged:
            self.history.check_prefixes_are_json()

    def teardown(self) -> None:
        if hasattr(self, "history"):
            self.history.kill()
            self.history.start()
            self.history.finish()

    def _do(self, action: Callable[[History], None]) -> None:
        if not survives(self.history, action):
            die(self.history)


TestLogMachine = LogMachine.TestCase
TestLogMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None, print_blob=True)


class SyncsNothing(SimulatedFiles):
    """What `eatmydata` makes of a disk."""

    def sync(self, descriptor: int) -> None:
        """Only say so."""

    def sync_all(self, descriptor: int) -> None:
        """Only say so."""

    def sync_names(self, descriptor: int) -> None:
        """Only say so."""


class SyncsNoNames(SimulatedFiles):
    """A new file or name may be gone, although the content is synced."""

    def sync_names(self, descriptor: int) -> None:
        """Only say so."""


class TrustsItsCache(SimulatedFiles):
    """Reads behind a failed sync what was written, although the disk does not have it."""

    def forget_cache(self, descriptor: int, offset: int = 0, length: int = 0) -> None:
        """Keep it."""


@pytest.mark.parametrize(("broken", "invariant"), [(SyncsNothing, "I1"), (SyncsNoNames, "I1"), (TrustsItsCache, "I6")])
def test_a_disk_that_loses_what_it_was_told_to_keep_is_found_out(broken: type[SimulatedFiles], invariant: str) -> None:
    assert any(_said(seed, broken) == invariant for seed in range(500))


def _said(seed: int, broken: type[SimulatedFiles]) -> str:
    """The invariant that a case breaks on this disk, or the first word of another error; empty if all is well."""
    try:
        run_case(seed, Counter(), broken)
    except (Violation, WalError, OSError) as fault:
        return str(fault).partition(" ")[0]
    return ""


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.torture) for seed in range(1, 10))])
def test_a_start_that_crashes_at_any_of_its_calls_is_made_good_by_the_next(seed: int) -> None:
    random = Random(seed)
    history = History(random, SimulatedFiles(random, Disk(is_journaled=seed % 2 == 0)), Counter())
    for damage in (None, *DAMAGES):
        history.start()
        for _ in range(4):
            history.commit()
        history.ship()
        history.files.crash_at = history.files.calls + random.randint(1, 8)
        while survives(history, History.commit):
            pass
        history.crash()
        if damage:
            damage_media(history, damage)
        assert sum(map(history.check_recovery_is_idempotent, range(1, 60))) > 5


def test_every_event_survives_some_hundred_random_cases(capsys: pytest.CaptureFixture[str]) -> None:
    _sweep(600, capsys)


@pytest.mark.torture
@pytest.mark.timeout(3600)
def test_every_event_survives_random_crashes_and_damage(capsys: pytest.CaptureFixture[str]) -> None:
    _sweep(int(os.environ.get("TRACKLOG_CASES", "100000")), capsys)


def _sweep(count: int, capsys: pytest.CaptureFixture[str]) -> None:
    seed = os.environ.get("TRACKLOG_SEED")
    started = time.perf_counter()
    tally = run_cases(1, int(seed)) if seed else run_cases(count, 0)
    with capsys.disabled():
        print(f"\nsimulated crashes: {closing_line(tally, time.perf_counter() - started)}")
    assert (tally["lost without report"], tally["duplicated"]) == (0, 0)
