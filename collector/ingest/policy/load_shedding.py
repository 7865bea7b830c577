"""Who is let in when the log is close to its limits, pure: those who can send again make room for those who can't."""

from typing import Final

from collector.ingest.options import ResponseType

_RESERVE_FROM: Final = 0.75
"""From this share of a limit on, what is left is for requests that nobody will send again."""
_RESENT: Final = (b"application/json", b"application/x-ndjson")
"""What programs send that look at the answer; `sendBeacon` sends text/plain, forms or nothing."""


def is_retryable(response_type: ResponseType, media: bytes, *, is_s2s: bool) -> bool:
    """Whether the caller of a request can be expected to read a 503 and to come back. `media` is b"" for no body."""
    return is_s2s or (media in _RESENT and response_type in (ResponseType.JAVASCRIPT, ResponseType.JSON))


def sheds_retryable(pressure: float) -> bool:
    """Whether those who can come back are sent away at this share of the log's nearest limit.

    From 1 on the log itself refuses everybody.
    """
    return pressure >= _RESERVE_FROM
