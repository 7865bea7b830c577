"""How many events a client lost before the one that tells it, pure: its queue was full, or they were too old.

The number is a client's, so it is bounded, and one that can't be read costs a warning, not the event.
"""

from typing import Final

from msgspec import Raw

_MOST: Final = 1_000_000
"""In one event. A queue in a browser holds hundreds: a larger number is a fault or an attack, and spoils the sum."""
_NULL: Final = b"null"
_WARNING: Final = f"lost is not 0 to {_MOST}"
"""Short, because a request may add no more than a few bytes for each event to the log."""


def count_of(lost: Raw) -> int:
    """The number; 0 for one that can't be read or is out of bounds."""
    text = bytes(lost)
    if not text.isdigit() or len(text) > len(str(_MOST)):
        return 0
    number = int(text)
    return number if number <= _MOST else 0


def warning_of(lost: Raw) -> str | None:
    """The warning for readers of the record; None if the number counts."""
    text = bytes(lost)
    return None if text in (b"0", _NULL) or count_of(lost) else _WARNING
