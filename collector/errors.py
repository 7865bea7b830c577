"""What can go wrong outside the log, as types. `problems.py` alone gives them HTTP statuses."""

from typing import NamedTuple


class Fault(NamedTuple):
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


class ForbiddenOrigin(Rejected):
    """A page of an origin that the property does not list."""


class MethodNotAllowed(Rejected):
    """A method that the path does not serve."""


class SlowBody(Rejected):
    """The body did not arrive in time."""


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


class BadSettings(Exception):
    """A setting that can't be used; the message names its path in the file and what was expected."""


class SinkError(Exception):
    """A batch did not arrive, and may when it is sent again."""
