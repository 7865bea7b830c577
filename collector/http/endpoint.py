"""What serves a path: one function between request and response, whichever way the request came."""

from typing import Any, Protocol, TypeVar

from collector.http.request import Request, RequestHead
from collector.http.response import Pending, Response

R = TypeVar("R", bound=Request)


class Endpoint(Protocol[R]):
    """Serves the requests of a path. No method awaits, blocks or raises."""

    def admit(self, head: RequestHead) -> Response | R:
        """The request to collect the body for, or the response where the head alone decides."""

    def take(self, request: R) -> Response | Pending:
        """A request with its whole body to its response, or to the response and the future that it waits for."""

    def refuse(self, request: R, error: BaseException) -> Response:
        """The response to an admitted request that could not be taken: its body, or what it waited for, failed."""


AnyEndpoint = Endpoint[Any]
