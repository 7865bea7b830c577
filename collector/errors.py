"""Errors outside the log, as types. Only `http/status.py` gives them HTTP statuses.

A refusal is a value, which may be stored. An exception is raised, caught and dropped, never stored: it holds its
traceback, the frames in it, and every body that these refer to.
"""

from enum import StrEnum
from typing import ClassVar, Final, Self

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

UNDECODABLE: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
"""The exceptions of decoding JSON that others have made. msgspec raises the last two for deep nesting and bad UTF-8."""


class FieldCode(StrEnum):
    """The kinds of faults of a field, for programs. The values are stable; docs/reference/error-codes.md has them."""

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
    """A field of a request that is wrong."""

    field: str
    code: FieldCode | UnsetType = UNSET
    """Set in every fault of a request. A dead letter without it can be read."""
    message: str = ""
    """For people."""


class Refusal(Struct, frozen=True):
    """The reason why a request, or one event of it, is refused."""

    code: str
    """For programs; `http/status.py` maps it to an HTTP status."""
    message: str
    """For people."""
    faults: tuple[Fault, ...] = ()
    """One for each wrong field."""
    retry_seconds: int | None = None
    """Seconds until a retry may succeed; None if a retry does not help."""
    allowed: bytes = b""
    """The methods that the path serves, if the request had another one."""


class Rejected(Exception):
    """An error of the client: carries a refusal from the check that finds it to the response."""

    code: ClassVar[str]

    def __init__(self, message: str, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(message)
        self.refusal = Refusal(self.code, message, faults)

    @classmethod
    def of(cls, refusal: Refusal) -> Self:
        """An exception that carries a stored refusal."""
        error = cls.__new__(cls, refusal.message)
        error.refusal = refusal
        return error


class BadTarget(Rejected):
    """The query's property or its request options are missing or invalid."""

    code = "invalid_query"


class NotFound(Rejected):
    """No such path, or no such property. Its message is the whole body of the response."""

    code = "not_found"

    def __init__(self) -> None:
        super().__init__("404 not found")


class Forbidden(Rejected):
    """The page's origin is not in the property's list, or the request has none of its write keys."""

    code = "forbidden"


class MethodNotAllowed(Rejected):
    """The path does not serve this method; `allowed` lists the methods that it serves."""

    code = "method_not_allowed"

    def __init__(self, allowed: bytes) -> None:
        super().__init__(f"expected {allowed.decode()}")
        self.refusal = replace(self.refusal, allowed=allowed)


class BadRequest(Rejected):
    """Bytes that are not an HTTP request."""

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
    """A property exceeds its rate; a retry may succeed after `retry_seconds`."""

    code = "rate_limited"

    def __init__(self, message: str, retry_seconds: int) -> None:
        super().__init__(f"{message}; retry after {retry_seconds} s")
        self.refusal = replace(self.refusal, retry_seconds=retry_seconds)


class OtherLog(Rejected):
    """A node's log differs from the log relayed before under the same id: it was restored or copied."""

    code = "other_log"


class TooLarge(Rejected):
    """The body, or an event in it, is over its limit."""

    code = "too_large"


class UrlTooLong(Rejected):
    """The URL is over its limit."""

    code = "url_too_long"


class UnsupportedMedia(Rejected):
    """The content type or content encoding is not supported."""

    code = "unsupported_media"


class BadEvent(Rejected):
    """The body is not a JSON event, or the event breaks a rule of its property."""

    code = "invalid_event"


class BadRedirect(Rejected):
    """The property does not allow this redirect."""

    code = "invalid_redirect"


class NotAClick(Rejected):
    """The request wants a redirect, but the event is not a click."""

    code = "not_a_click"


class Overloaded(Exception):
    """The collector, not the client, is at fault: it has no room for this request now."""


class RelayBlocked(Overloaded):
    """The progress of a node's log is unknown. The message says which file a person must mend, and how."""


class Unconfirmed(Exception):
    """The events are in the log, but the sink that the response waited for did not confirm delivery in time."""

    def __init__(self, event_id: bytes | None) -> None:
        super().__init__("stored, but not confirmed by the sink")
        self.event_id = event_id


class BadSettings(Exception):
    """A setting is invalid; the message names its path in the file and the expected value."""


class SinkError(Exception):
    """A delivery failed, and a retry may succeed; not before `wait_seconds`, if the sink asked for a delay."""

    retriable: ClassVar[bool] = True

    def __init__(self, message: str, wait_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds


class BatchRefused(SinkError):
    """The sink refuses this batch for good; the message is its reason."""

    retriable = False
