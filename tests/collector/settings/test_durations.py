"""Durations in settings: their units, their bounds, and the message about others."""

import msgspec
import pytest
from msgspec import Struct

from collector.settings.dedup import DedupSettings
from collector.settings.durations import Duration, milliseconds
from collector.settings.faults import read_leniently


class _Table(Struct, frozen=True):
    dedup: Duration = "off"


@pytest.mark.parametrize(
    ("text", "ms"),
    [("off", 0), ("1s", 1000), ("30m", 1_800_000), ("1h", 3_600_000), ("7d", 604_800_000), ("90d", 7_776_000_000)],
)
def test_a_duration_has_one_unit(text: str, ms: int) -> None:
    assert milliseconds(text) == ms


@pytest.mark.parametrize("text", ["", "1", "h", "0h", "1.5h", "-1h", "1 h", "1H", "91d", "9999999999s", "1h\n", "on"])
def test_anything_else_is_a_fault_that_says_what_is_expected(text: str) -> None:
    expected = 'expected a duration such as "30m", "1h" or "7d", of at most 90 days, or "off"'
    _, faults = read_leniently({"dedup": text}, _Table)
    assert [(fault.path, fault.message) for fault in faults] == [("dedup", f"{expected}, got {text!r}")]


def test_a_number_is_no_duration() -> None:
    _, faults = read_leniently({"dedup": 3600}, _Table)
    assert [fault.message for fault in faults] == ["expected `str`, got `int`"]


@pytest.mark.parametrize("table", [{"entries": 999}, {"bytes": (16 << 20) - 1}, {"dir": ""}, {"size": 1}])
def test_the_index_has_bounds(table: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(table, DedupSettings)
