"""When a worker that died starts again."""

from itertools import pairwise

from collector.server.backoff import STEADY_SECONDS, early_deaths, restart_delay


def test_a_worker_that_keeps_dying_soon_after_its_start_waits_longer_each_time_up_to_30_seconds() -> None:
    delays, deaths = [], 0
    for _ in range(9):
        deaths = early_deaths(deaths, seconds_served=1.0)
        delays.append(restart_delay(deaths))
    assert delays == [0, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_worker_that_served_for_a_while_starts_again_at_once() -> None:
    assert restart_delay(early_deaths(8, STEADY_SECONDS)) == 0
    assert restart_delay(early_deaths(8, STEADY_SECONDS - 1)) == 30


def test_no_number_of_deaths_is_too_large() -> None:
    delays = [restart_delay(deaths) for deaths in range(10_000)]
    assert all(earlier <= later for earlier, later in pairwise(delays))
    assert delays[-1] == 30
