"""When an event happened, pure: by the client's clock, corrected where that is wrong, else by ours.

All times are Unix milliseconds. A time that can't be read costs a warning, not the event.
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

_DIFFERENCE_MS: Final = 60_000
"""A client's clock that differs by no more from ours is taken as right: requests take time, too."""
_MOST_MS: Final = 10**13 - 1
"""As many digits as `received_at` has; until the year 2286."""
_LONGEST: Final = 64
"""Bytes of a time; no form needs more than half of it."""
_CACHED: Final = 1024
_ROUNDING: Final = 0.001
"""Milliseconds. A time as a float is a quarter of a microsecond too early at most."""
_NULL: Final = b"null"
_UNREADABLE: Final = "{} is not a time"
"""Short, because a request may add no more than a few bytes for each event to the log."""
_decode_time: Final = msgspec.json.Decoder(datetime).decode


def occurred_at(et: Raw, sent_at: Raw | UnsetType, received_ms: int) -> tuple[int, list[str]]:
    """When the event happened, and warnings about times that can't be read.

    `sent_at` is the client's clock when it sent: where it differs by more than a minute from ours, it corrects `et`.
    """
    warnings: list[str] = []
    happened, sent = _read("et", et, warnings), _read("sent_at", sent_at, warnings)
    if happened is None:
        return received_ms, warnings
    if sent is not None and abs(received_ms - sent) > _DIFFERENCE_MS:
        happened += received_ms - sent
    return min(max(happened, 0), _MOST_MS), warnings


def _read(name: str, value: Raw | UnsetType, warnings: list[str]) -> int | None:
    """The milliseconds of a time as sent; None if there is none, or none that can be read."""
    if value is UNSET or (text := bytes(value)) == _NULL:
        return None
    milliseconds = _milliseconds(text)
    if milliseconds is None or not 0 <= milliseconds <= _MOST_MS:
        warnings.append(_UNREADABLE.format(name))
        return None
    return milliseconds


def _milliseconds(text: bytes) -> int | None:
    return _parsed(text) if len(text) <= _LONGEST else None


@lru_cache(_CACHED)
def _parsed(text: bytes) -> int | None:
    """Cached because all events of a batch have the same `sent_at`."""
    digits = text.strip(b'"')
    if digits.isdigit():
        return int(digits)
    try:
        time = _decode_time(text)
        return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000 + _ROUNDING)
    except (msgspec.DecodeError, UnicodeDecodeError, OverflowError):
        return None
