"""The table of the page Sizing, computed from the formulas on it."""

import math
from typing import Final

from tools.docs.markdown import table

PEAK: Final = 4
"""Peak rate over the mean rate of a day."""
RECORD_BYTES: Final = 800
REQUEST_MICROSECONDS: Final = 40
"""CPU of a single POST."""
UTILISATION: Final = 0.6
"""Share of a core that the peak may use."""
_DAY: Final = 86_400
_DISK_BYTES: Final = 100e9
_MOST_HOURS: Final = 72
"""Longer times are in days."""


def parts() -> dict[str, str]:
    """A row for each order of magnitude of events a day."""
    head = ("events a day", "peak a second", "cores at 40 µs a single POST", "log a day", "100 GB last")
    return {"sizing.table": table(head, [_row(10**6 * 10**power) for power in range(4)])}


def peak(events: int) -> float:
    """Events a second at the peak of a day."""
    return events / _DAY * PEAK


def cores_used(events: int) -> float:
    """Cores that are busy at the peak with single POSTs."""
    return peak(events) * REQUEST_MICROSECONDS / 1e6 / UTILISATION


def log_bytes(events: int) -> int:
    """Bytes of log that a day adds."""
    return events * RECORD_BYTES


def hours_until_full(events: int) -> float:
    """Hours until 100 GB are full while no sink takes an event."""
    return _DISK_BYTES / log_bytes(events) * 24


def _row(events: int) -> tuple[str, ...]:
    used = cores_used(events)
    hours = hours_until_full(events)
    last = f"{hours / 24:.0f} days" if hours > _MOST_HOURS else f"{hours:.0f} h"
    return (
        f"{events // 10**6:,} M",
        f"{peak(events):,.0f}",
        f"{max(1, math.ceil(used))} ({used:.1%} of one used)" if used < 1 else f"{math.ceil(used)} ({used:.1f} used)",
        f"{log_bytes(events) / 1e9:,.1f} GB",
        last,
    )
