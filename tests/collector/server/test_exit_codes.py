"""Exit codes, as the process log names them."""

import signal

import pytest

from collector.server.exit_codes import cause_of_death, of_signal


@pytest.mark.parametrize(
    ("exit_code", "cause"),
    [(0, "exit code 0"), (1, "exit code 1"), (-9, "SIGKILL"), (-11, "SIGSEGV"), (-50, "signal 50")],
)
def test_a_death_is_named_by_its_signal_or_exit_code(exit_code: int, cause: str) -> None:
    assert cause_of_death(exit_code) == cause


def test_a_collector_that_a_signal_ended_at_once_exits_as_shells_count_it() -> None:
    assert (of_signal(signal.SIGINT), of_signal(signal.SIGTERM)) == (130, 143)
