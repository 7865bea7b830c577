"""When a worker that died starts again. Pure: knows no process and no clock."""

from typing import Final

MAX_DELAY_SECONDS: Final = 30
STEADY_SECONDS: Final = 30.0
"""A worker that served for so long was sound: its death does not count as one of a series."""


def early_deaths(before: int, seconds_served: float) -> int:
    """The deaths soon after start in a row, this one included. `before`: those until then."""
    return 1 if seconds_served >= STEADY_SECONDS else before + 1


def restart_delay(deaths: int) -> int:
    """Seconds from a death until the next start: 0 for the first of a series, then 1, 2, 4, … 30."""
    return 0 if deaths <= 1 else min(1 << min(deaths - 2, MAX_DELAY_SECONDS), MAX_DELAY_SECONDS)
