"""The one table from what can go wrong to an HTTP status."""

from typing import Final

from collector import errors
from wal.errors import RecordTooLarge, WalError

STATUS: Final[dict[type[Exception], int]] = {
    errors.BadRequest: 400,
    errors.BadTarget: 400,
    errors.BadEvent: 400,
    errors.BadRedirect: 400,
    errors.NotAClick: 400,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.SlowHeaders: 408,
    errors.SlowBody: 408,
    errors.OtherLog: 409,
    errors.TooLarge: 413,
    RecordTooLarge: 413,
    errors.UrlTooLong: 414,
    errors.UnsupportedMedia: 415,
    errors.TooFast: 429,
    errors.HeadersTooLarge: 431,
    errors.Overloaded: 503,
    errors.Unconfirmed: 503,
    WalError: 503,
}


def status_of(error: Exception) -> int:
    """The status for an error, by its class or the nearest one above it."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
