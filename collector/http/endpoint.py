"""The interface of an endpoint: plain functions from request to response, the same for both HTTP faces."""

from typing import Any, Protocol, TypeVar

from collector.http.request import Request, RequestHead
from collector.http.response import Pending, Response

R = TypeVar("R", bound=Request)


class Endpoint(Protocol[R]):
    """Serves the requests to a path. No method awaits, blocks or raises."""

    def admit(self, head: RequestHead) -> Response | R:
        """Decide by the head: a request whose body is to be read, or the response."""

    def take(self, request: R) -> Response | Pending:
        """Serve a request with its whole body: the response, or the response and the future it waits for."""

    def refuse(self, request: R, error: BaseException) -> Response:
        """The response to an admitted request that failed: while its body arrived, or in the future it waited for."""


AnyEndpoint = Endpoint[Any]
