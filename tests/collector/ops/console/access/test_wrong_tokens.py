"""Wrong tokens by address."""

import pytest

from collector.ops.console.access.wrong_tokens import WrongTokens, sender_of


def test_after_the_most_wrong_tokens_an_address_waits_until_the_first_is_a_minute_old() -> None:
    wrong = WrongTokens(2)
    wrong.add("10.0.0.1", b"guess 1", 1_000)
    assert wrong.wait_seconds("10.0.0.1", 1_000) == 0
    wrong.add("10.0.0.1", b"guess 2", 20_000)
    assert wrong.wait_seconds("10.0.0.1", 20_000) == 41
    assert wrong.wait_seconds("10.0.0.1", 60_999) == 1
    assert wrong.wait_seconds("10.0.0.1", 61_000) == 0
    wrong.add("10.0.0.1", b"guess 3", 61_000)
    assert wrong.wait_seconds("10.0.0.1", 61_000) == 19
    assert wrong.wait_seconds("10.0.0.2", 61_000) == 0


def test_a_clock_that_is_set_back_locks_nobody_out() -> None:
    wrong = WrongTokens(1)
    wrong.add("10.0.0.1", b"guess 4", 10_000_000)
    assert wrong.wait_seconds("10.0.0.1", 9_000_000) == 0


def test_a_thousand_addresses_are_remembered_and_the_oldest_is_forgotten_first() -> None:
    wrong = WrongTokens(1)
    for number in range(1025):
        wrong.add(f"10.0.{number // 256}.{number % 256}", b"guess 5", 1000)
    assert wrong.wait_seconds("10.0.0.0", 1000) == 0
    assert wrong.wait_seconds("10.0.0.1", 1000) == 60


@pytest.mark.parametrize(
    ("address", "sender"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:db8:0:1:aaaa::1", "2001:db8:0:1::"),
        ("2001:db8:0:1:bbbb::2", "2001:db8:0:1::"),
        ("2001:db8:0:2::1", "2001:db8:0:2::"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
    ],
)
def test_the_addresses_of_a_site_count_as_one(address: str, sender: str) -> None:
    assert sender_of(address) == sender
