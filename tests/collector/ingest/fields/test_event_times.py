"""When an event happened: what its client says of it, and what our clock says of the client's."""

import pytest
from msgspec import UNSET, Raw

from collector.ingest.fields.event_times import occurred_at

RECEIVED = 1_795_833_650_209
HOUR = 3_600_000


@pytest.mark.parametrize(
    ("et", "expected"),
    [
        ('"2026-11-28T00:00:00.123Z"', 1_795_824_000_123),
        ('"2026-11-28t02:00:00.123+02:00"', 1_795_824_000_123),
        ('"2026-11-28 00:00:00"', 1_795_824_000_000),
        ("1795824000123", 1_795_824_000_123),
        ('"1795824000123"', 1_795_824_000_123),
    ],
)
def test_the_time_of_the_client_counts_in_each_of_its_forms(et: str, expected: int) -> None:
    assert occurred_at(Raw(et.encode()), UNSET, RECEIVED) == (expected, [])


@pytest.mark.parametrize(
    "et", ['"yesterday"', '""', "1.5", "-5", "{}", "[]", "true", '"0001-01-01T00:00:00Z"', "9" * 14, "9" * 5000]
)
def test_a_time_that_cannot_be_read_costs_a_warning(et: str) -> None:
    assert occurred_at(Raw(et.encode()), UNSET, RECEIVED) == (RECEIVED, ["et is not a time"])
    assert occurred_at(Raw(b"5"), Raw(et.encode()), RECEIVED) == (5, ["sent_at is not a time"])


def test_without_a_time_of_the_client_it_is_ours() -> None:
    assert occurred_at(Raw(b"null"), UNSET, RECEIVED) == (RECEIVED, [])


@pytest.mark.parametrize(
    ("sent_at", "expected"),
    [
        (RECEIVED - HOUR, RECEIVED - 5000),
        (RECEIVED + HOUR, RECEIVED - 5000 - 2 * HOUR),
        (RECEIVED - 60_000, RECEIVED - HOUR - 5000),
    ],
)
def test_a_clock_that_is_wrong_by_more_than_a_minute_is_corrected(sent_at: int, expected: int) -> None:
    et = RECEIVED - HOUR - 5000
    assert occurred_at(Raw(b"%d" % et), Raw(b"%d" % sent_at), RECEIVED) == (expected, [])


def test_a_corrected_time_stays_within_what_a_record_can_hold() -> None:
    assert occurred_at(Raw(b"0"), Raw(b"%d" % (RECEIVED + HOUR)), RECEIVED) == (0, [])
