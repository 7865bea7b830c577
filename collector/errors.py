"""What can go wrong outside the log, as types. `http/status.py` alone gives them HTTP statuses.

A refusal is a value, which may be stored. An exception is raised, caught and dropped: a stored one holds its traceback,
the frames in it, and every body that these refer to.
"""

from enum import StrEnum
from typing import ClassVar, Self

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace


class FieldCode(StrEnum):
    """What is wrong with a field, for programs. The values are stable, and README.md documents them."""

    MISSING = "missing"
    WRONG_TYPE = "wrong_type"
    """Another type of JSON than the field has."""
    MALFORMED = "malformed"
    """Text that can't be read as the value of the field."""
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    OUT_OF_RANGE = "out_of_range"
    NOT_ALLOWED = "not_allowed"
    """A value that is none of the choices, or that the property does not list."""
    EXPIRED = "expired"


class Fault(Struct, frozen=True):
    """One field of a request that is wrong."""

    field: str
    code: FieldCode | UnsetType = UNSET
    """Set in every fault of a request. A dead letter without it can be read."""
    message: str = ""
    """For people."""


class Refusal(Struct, frozen=True):
    """Why a request, or one event of it, is not taken."""

    code: str
    """What programs match; `http/status.py` has the HTTP status of each."""
    message: str
    """For people."""
    faults: tuple[Fault, ...] = ()
    """One for each field that is wrong."""
    retry_seconds: int | None = None
    """When to try again, where that can help."""
    allowed: bytes = b""
    """The methods that the path serves, where the request had another one."""


class Rejected(Exception):
    """The client's fault: carries a refusal from where it is found to where it is answered."""

    code: ClassVar[str]

    def __init__(self, message: str, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(message)
        self.refusal = Refusal(self.code, message, faults)

    @classmethod
    def of(cls, refusal: Refusal) -> Self:
        """An exception that carries a refusal which was stored."""
        error = cls.__new__(cls, refusal.message)
        error.refusal = refusal
        return error


class BadTarget(Rejected):
    """The query does not say where the event belongs or how to answer."""

    code = "invalid_query"


class NotFound(Rejected):
    """No such path, or no such property. Its message is the whole body of the answer."""

    code = "not_found"

    def __init__(self) -> None:
        super().__init__("404 not found")


class Forbidden(Rejected):
    """A page of an origin that the property does not list, or a request without one of its write keys."""

    code = "forbidden"


class MethodNotAllowed(Rejected):
    """A method that the path does not serve; `allowed` are those that it does."""

    code = "method_not_allowed"

    def __init__(self, allowed: bytes) -> None:
        super().__init__(f"expected {allowed.decode()}")
        self.refusal = replace(self.refusal, allowed=allowed)


class BadRequest(Rejected):
    """Bytes that are no HTTP request."""

    code = "malformed_request"


class SlowHeaders(Rejected):
    """The headers did not arrive in time."""

    code = "headers_timeout"


class HeadersTooLarge(Rejected):
    """The headers are over their limit."""

    code = "headers_too_large"


class SlowBody(Rejected):
    """The body did not arrive in time."""

    code = "body_timeout"


class TooFast(Rejected):
    """A property sends more than its rate; after `retry_seconds` there is room again."""

    code = "rate_limited"

    def __init__(self, message: str, retry_seconds: int) -> None:
        super().__init__(f"{message}; retry after {retry_seconds} s")
        self.refusal = replace(self.refusal, retry_seconds=retry_seconds)


class OtherLog(Rejected):
    """A node's log is not the one that was relayed before under the same id: it was restored or copied."""

    code = "other_log"


class TooLarge(Rejected):
    """The body, or the event in it, is over a limit."""

    code = "too_large"


class UrlTooLong(Rejected):
    """The URL is over its limit."""

    code = "url_too_long"


class UnsupportedMedia(Rejected):
    """A content type or a content encoding that is not read."""

    code = "unsupported_media"


class BadEvent(Rejected):
    """The body is no JSON event, or the event breaks a rule of its property."""

    code = "invalid_event"


class BadRedirect(Rejected):
    """A redirect to where the property does not allow."""

    code = "invalid_redirect"


class NotAClick(Rejected):
    """A redirect is asked for, and the event is no click."""

    code = "not_a_click"


class Overloaded(Exception):
    """Ours, not the client's: there is no room for this request now."""


class RelayBlocked(Overloaded):
    """How far a node's log has arrived can't be told. The message says which file a person must mend, and how."""


class Unconfirmed(Exception):
    """Events are in the log, and the sink that the answer waited for has not said in time that it has them too."""

    def __init__(self, event_id: bytes | None) -> None:
        super().__init__("stored, and not confirmed by the sink")
        self.event_id = event_id


class BadSettings(Exception):
    """A setting that can't be used; the message names its path in the file and what was expected."""


class SinkError(Exception):
    """A batch did not arrive, and may when it is sent again; after `wait_seconds`, where the sink says so."""

    retriable: ClassVar[bool] = True

    def __init__(self, message: str, wait_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds


class BatchRefused(SinkError):
    """The sink will never take this batch as it is; the message is its reason."""

    retriable = False
