"""Load shedding when the log is close to its limits, pure: requests that clients can retry are shed first."""

from typing import Final

from collector.ingest.options import RequestOptions, ResponseType

_RESERVE_FROM: Final = 0.75
"""Above this share of a limit, the rest is reserved for requests that nobody retries."""
_RETRYABLE: Final = (b"application/json", b"application/x-ndjson")
"""Media types of programs that read the response; `sendBeacon` sends text/plain, forms or nothing."""
_READ_BY_SCRIPTS: Final = (ResponseType.JSON, ResponseType.JAVASCRIPT)


def is_retryable(options: RequestOptions, media: bytes) -> bool:
    """Whether the client can be expected to read a 503 and to retry. `media` is b"" if there is no body."""
    if options.is_s2s or options.is_queued:
        return True
    return media in _RETRYABLE and options.response_type in _READ_BY_SCRIPTS


def sheds_retryable(pressure: float) -> bool:
    """Whether retryable requests are shed at this share of the log's nearest limit.

    From 1 on the log itself refuses all requests.
    """
    return pressure >= _RESERVE_FROM
