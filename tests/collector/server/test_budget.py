"""The one budget of a stop: how a worker divides it."""

import time
from multiprocessing import Pipe

import pytest

from collector.server.budget import StopBudget, close_seconds, request_seconds
from collector.server.control import Control, StopDeadline

_LONG = 1000.0


@pytest.mark.parametrize(("grace", "seconds"), [(1, 1), (2, 1), (3, 2), (5, 3), (10, 7), (3600, 2700)])
def test_requests_get_three_quarters_of_a_stop_and_at_least_a_second(grace: int, seconds: int) -> None:
    assert request_seconds(grace) == seconds


@pytest.mark.parametrize("grace", range(2, 60))
def test_requests_and_the_close_leave_sinks_some_time(grace: int) -> None:
    assert request_seconds(grace) + close_seconds(grace) < grace


def test_sinks_get_what_is_left_until_the_deadline_but_for_the_close() -> None:
    supervisor, worker = Pipe()
    with supervisor, worker:
        supervisor.send(StopDeadline(time.monotonic() + _LONG))
        left = StopBudget(Control(worker), grace_seconds=3600).seconds_for_sinks()
    assert _LONG / 2 < left <= _LONG - close_seconds(3600)


def test_sinks_get_no_time_after_the_deadline() -> None:
    supervisor, worker = Pipe()
    with supervisor, worker:
        supervisor.send(StopDeadline(time.monotonic()))
        assert StopBudget(Control(worker), grace_seconds=10).seconds_for_sinks() == 0


@pytest.mark.parametrize("is_supervisor_gone", [False, True])
def test_a_worker_that_stops_by_itself_has_the_whole_budget(is_supervisor_gone: bool) -> None:
    supervisor, worker = Pipe()
    with supervisor, worker:
        if is_supervisor_gone:
            supervisor.close()
        left = StopBudget(Control(worker), grace_seconds=_LONG).seconds_for_sinks()
    assert _LONG / 2 < left <= _LONG - close_seconds(_LONG)
