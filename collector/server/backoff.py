"""The delay before a worker that died is restarted. Pure: knows no process and no clock."""

from typing import Final

MAX_DELAY_SECONDS: Final = 30
STEADY_SECONDS: Final = 30.0
"""If a worker served this long, it was sound: its death starts a new series."""


def early_deaths(before: int, seconds_served: float) -> int:
    """Successive deaths soon after the start, including this one. `before`: the count until then."""
    return 1 if seconds_served >= STEADY_SECONDS else before + 1


def restart_delay(deaths: int) -> int:
    """Seconds from a death until the next start: 0 for the first of a series, then 1, 2, 4, … 30."""
    return 0 if deaths <= 1 else min(1 << min(deaths - 2, MAX_DELAY_SECONDS), MAX_DELAY_SECONDS)
