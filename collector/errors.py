"""What can go wrong outside the log, as types. `problems.py` alone gives them HTTP statuses."""

from typing import ClassVar

from msgspec import Struct


class Fault(Struct, frozen=True):
    """One field of a request that is wrong."""

    field: str
    message: str


class Rejected(Exception):
    """The client's fault. Attributes: message for people, faults with one entry for each wrong field."""

    def __init__(self, message: str, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.faults = faults


class BadTarget(Rejected):
    """The query does not say where the event belongs or how to answer."""


class NotFound(Rejected):
    """No such path, or no such property. Its message is the whole body of the answer."""

    def __init__(self) -> None:
        super().__init__("404 not found")


class Forbidden(Rejected):
    """A page of an origin that the property does not list, or a request without one of its write keys."""


class MethodNotAllowed(Rejected):
    """A method that the path does not serve; `allowed` are those that it does."""

    def __init__(self, allowed: bytes) -> None:
        super().__init__(f"expected {allowed.decode()}")
        self.allowed = allowed


class BadRequest(Rejected):
    """Bytes that are no HTTP request."""


class SlowHeaders(Rejected):
    """The headers did not arrive in time."""


class HeadersTooLarge(Rejected):
    """The headers are over their limit."""


class SlowBody(Rejected):
    """The body did not arrive in time."""


class TooFast(Rejected):
    """A property sends more than its rate; after `retry_seconds` there is room again."""

    def __init__(self, retry_seconds: int) -> None:
        super().__init__(f"this property sends more events than it may; come again in {retry_seconds} s")
        self.retry_seconds = retry_seconds


class OtherLog(Rejected):
    """A node's log is not the one that was relayed before under the same id: it was restored or copied."""


class TooLarge(Rejected):
    """The body, or the event in it, is over a limit."""


class UrlTooLong(Rejected):
    """The URL is over its limit."""


class UnsupportedMedia(Rejected):
    """A content type or a content encoding that is not read."""


class BadEvent(Rejected):
    """The body is no JSON event, or the event breaks a rule of its property."""


class BadRedirect(Rejected):
    """A redirect to where the property does not allow."""


class NotAClick(Rejected):
    """A redirect is asked for, and the event is no click."""


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
