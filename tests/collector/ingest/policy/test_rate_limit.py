"""The rate limit of a property: a token bucket, on the test's own clock."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.ingest.policy.rate_limit import TokenBucket

NOW = 1000.0


def _let_in(rate: TokenBucket, now: float, events: int = 1) -> bool:
    """Whether a request passes; if so, count it."""
    if rate.wait_seconds(now, events):
        return False
    rate.take(events)
    return True


def test_the_events_of_one_second_pass_at_once_and_no_more() -> None:
    rate = TokenBucket(5)
    assert [_let_in(rate, NOW) for _ in range(8)] == [True] * 5 + [False] * 3


def test_the_bucket_fills_with_time() -> None:
    rate = TokenBucket(2)
    assert [_let_in(rate, NOW + at) for at in (0, 0, 0, 0.5, 0.5, 1.0, 3.0, 3.0, 3.0)] == [
        *(True, True, False),
        *(True, False),
        True,
        *(True, True, False),
    ]


def test_unused_time_is_saved_for_one_second_only() -> None:
    rate = TokenBucket(3)
    rate.take(3)
    assert sum(_let_in(rate, NOW + 3600) for _ in range(10)) == 3


@pytest.mark.parametrize(("per_second", "events", "wait"), [(10, 9, 0), (10, 10, 1), (100, 100, 1), (2.5, 2, 1)])
def test_a_batch_may_take_all_that_the_bucket_holds_and_is_paid_for_afterwards(
    per_second: float, events: int, wait: int
) -> None:
    rate = TokenBucket(per_second)
    assert rate.wait_seconds(NOW, events) == 0
    rate.take(events)
    assert rate.wait_seconds(NOW) == wait
    assert rate.wait_seconds(NOW + wait) == 0, "whoever waits as told is let in"


@pytest.mark.parametrize(("per_second", "most"), [(10, 10), (2.5, 2), (0.1, 1)])
def test_a_batch_larger_than_the_bucket_never_passes(per_second: float, most: int) -> None:
    assert TokenBucket(per_second, workers=4).largest_batch == most


@settings(deadline=None)
@given(
    per_second=st.floats(0.01, 1e6),
    workers=st.integers(1, 64),
    batches=st.lists(st.tuples(st.floats(0, 10), st.integers(1, 10_000)), max_size=30),
)
def test_a_debt_is_paid_in_two_seconds_and_a_worker_keeps_to_its_share(
    per_second: float, workers: int, batches: list[tuple[float, int]]
) -> None:
    rate, now, passed = TokenBucket(per_second, workers), NOW, 0
    for pause, events in batches:
        now += pause
        if events <= rate.largest_batch and _let_in(rate, now, events):
            passed += events
        assert rate.wait_seconds(now) <= math.ceil(2 + workers / per_second)
    assert passed <= max(per_second, 1) + (now - NOW + 2) * per_second / workers + 1


def test_events_over_the_rate_that_were_let_in_make_a_debt_of_two_seconds_at_most() -> None:
    rate = TokenBucket(10)
    assert rate.wait_seconds(NOW) == 0
    rate.take(1_000_000)
    assert rate.wait_seconds(NOW) == 3


def test_a_rate_below_one_a_second_lets_one_in_at_a_time() -> None:
    rate = TokenBucket(0.1)
    assert [_let_in(rate, NOW + at) for at in (0, 1, 9, 11, 12)] == [True, False, False, True, False]


def test_checking_takes_nothing_from_the_bucket() -> None:
    rate = TokenBucket(1)
    assert [rate.wait_seconds(NOW) for _ in range(100)] == [0] * 100


@settings(deadline=None)
@given(
    per_second=st.floats(0.01, 1e6),
    requests=st.lists(st.tuples(st.floats(0, 100), st.integers(1, 1000)), max_size=30),
)
def test_a_client_that_waits_for_retry_after_is_let_in_and_none_waits_below_the_rate(
    per_second: float, requests: list[tuple[float, int]]
) -> None:
    rate, now = TokenBucket(per_second), NOW
    for pause, events in requests:
        now += pause
        now += rate.wait_seconds(now)
        assert rate.wait_seconds(now) == 0
        rate.take(min(events, rate.largest_batch))
