"""The one table from codes of errors to HTTP statuses, and from exceptions to refusals."""

from typing import Final

from collector import errors
from collector.errors import Overloaded, Refusal, Rejected, Unconfirmed
from collector.process_log.of_requests import RequestBug
from wal.errors import RecordTooLarge, WalError

STATUS: Final[dict[str, int]] = {
    errors.BadRequest.code: 400,
    errors.BadTarget.code: 400,
    errors.BadEvent.code: 400,
    errors.BadRedirect.code: 400,
    errors.NotAClick.code: 400,
    errors.Forbidden.code: 403,
    errors.NotFound.code: 404,
    errors.MethodNotAllowed.code: 405,
    errors.SlowHeaders.code: 408,
    errors.SlowBody.code: 408,
    errors.OtherLog.code: 409,
    errors.TooLarge.code: 413,
    errors.UrlTooLong.code: 414,
    errors.UnsupportedMedia.code: 415,
    errors.TooFast.code: 429,
    errors.HeadersTooLarge.code: 431,
    "unconfirmed": 503,
    "unavailable": 503,
}
"""HTTP status by the code of a refusal."""
UNCONFIRMED: Final = Refusal(
    "unconfirmed",
    "stored, but the sink did not confirm delivery in time; it may still be delivered, and sending the event again may "
    "store it twice",
)
UNAVAILABLE: Final = Refusal("unavailable", "the event could not be stored; send it again later", retry_seconds=1)
UNSERVED: Final = Refusal("unavailable", "the request could not be served; send it again later", retry_seconds=1)
"""As UNAVAILABLE, where nobody knows whether the request carries an event."""
_RECORD_TOO_LARGE: Final = Refusal(errors.TooLarge.code, "the event is too large for the log")


def refusal_of(error: BaseException) -> Refusal:
    """The refusal that an error stands for: a reason in the request, or UNAVAILABLE if the collector could not take it.

    A bug is UNAVAILABLE too, and the process log has its traceback.
    """
    if isinstance(error, Rejected):
        return error.refusal
    if isinstance(error, Unconfirmed):
        return UNCONFIRMED
    if isinstance(error, RecordTooLarge):
        return _RECORD_TOO_LARGE
    if not isinstance(error, (Overloaded, WalError)):
        RequestBug().write(exc_info=error)
    return UNAVAILABLE
