"""Endpoints whose response is known from the head alone: a document, and a refusal of everything."""

from typing import Final

from collector.errors import MethodNotAllowed, Refusal
from collector.http.request import Request, RequestHead
from collector.http.response import JSON, Pending, Response, json_response

_METHODS: Final = b"GET, HEAD"


class _Headlong:
    """An endpoint that admits nothing."""

    def take(self, request: Request) -> Response | Pending:
        """Never called: no request is admitted."""
        raise AssertionError(request)

    def refuse(self, request: Request, error: BaseException) -> Response:
        """Never called: no request is admitted."""
        raise AssertionError(request) from error


class Document(_Headlong):
    """Serves one JSON document, which any page may read."""

    def __init__(self, body: bytes) -> None:
        self._response = Response(200, JSON + b"access-control-allow-origin: *\r\n", body)

    def admit(self, head: RequestHead) -> Response:
        """The document."""
        if head.method in ("GET", "HEAD"):
            return self._response
        return json_response(MethodNotAllowed(_METHODS).refusal)


class RefusesAll(_Headlong):
    """Refuses every request, whatever it asks."""

    def __init__(self, refusal: Refusal) -> None:
        self._response = json_response(refusal)

    def admit(self, _head: RequestHead) -> Response:
        """The refusal."""
        return self._response
