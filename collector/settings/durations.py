"""Settings that are a duration, pure: `1h`, `30m`, `7d` or `off`."""

import re
from typing import Annotated, Final

from msgspec import Meta

from collector.settings.faults import CHECK, shown

_DURATION: Final = re.compile(r"([1-9][0-9]{0,8})(s|m|h|d)")
_UNITS: Final = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_MOST_DAYS: Final = 90
_EXPECTED: Final = f'a duration such as "30m", "1h" or "7d", of at most {_MOST_DAYS} days, or "off"'


def milliseconds(duration: str) -> int:
    """A duration in ms; 0 for `off`. Raises ValueError, which says what is expected."""
    if duration == "off":
        return 0
    match = _DURATION.fullmatch(duration)
    length = int(match[1]) * _UNITS[match[2]] if match else 0
    if not 0 < length <= _MOST_DAYS * _UNITS["d"]:
        raise ValueError(f"expected {_EXPECTED}, got {shown(duration)}")
    return length


def _fault(duration: str) -> str | None:
    try:
        milliseconds(duration)
    except ValueError as error:
        return str(error)
    return None


Duration = Annotated[str, Meta(extra={CHECK: _fault})]
