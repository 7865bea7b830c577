"""Endpoints that respond to the head alone: a document, and a refusal of all requests."""

from typing import Final

from collector.errors import MethodNotAllowed, Refusal
from collector.http.request import Request, RequestHead
from collector.http.response import JSON, Pending, Response, json_response

_METHODS: Final = b"GET, HEAD"


class _HeadOnly:
    """An endpoint that admits no request, since `admit` has the response."""

    def take(self, request: Request) -> Response | Pending:
        """Never called: no request is admitted."""
        raise AssertionError(request)

    def refuse(self, request: Request, error: BaseException) -> Response:
        """Never called: no request is admitted."""
        raise AssertionError(request) from error


class Document(_HeadOnly):
    """Serves one JSON document, which any page may read."""

    def __init__(self, body: bytes) -> None:
        self._response = Response(200, JSON + b"access-control-allow-origin: *\r\n", body)

    def admit(self, head: RequestHead) -> Response:
        """The document."""
        if head.method in ("GET", "HEAD"):
            return self._response
        return json_response(MethodNotAllowed(_METHODS).refusal)


class RefusesAll(_HeadOnly):
    """Refuses every request."""

    def __init__(self, refusal: Refusal) -> None:
        self._response = json_response(refusal)

    def admit(self, _head: RequestHead) -> Response:
        """The refusal."""
        return self._response
