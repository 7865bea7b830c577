"""Endpoints that respond to the head alone: a document, health, and a refusal of all requests."""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from collector.errors import MethodNotAllowed, Refusal
from collector.http.request import Request, RequestHead
from collector.http.response import JSON, HeaderLines, Pending, Response, json_response

_METHOD_REFUSED: Final = json_response(MethodNotAllowed(b"GET, HEAD").refusal)


def refused_method(head: RequestHead) -> Response | None:
    """The refusal of any method but GET and HEAD."""
    return None if head.method in ("GET", "HEAD") else _METHOD_REFUSED


class HeadOnly:
    """An endpoint that admits no request, since `admit` has the response."""

    def take(self, request: Request) -> Response | Pending:
        """Never called: no request is admitted."""
        raise AssertionError(request)

    def refuse(self, request: Request, error: BaseException) -> Response:
        """Never called: no request is admitted."""
        raise AssertionError(request) from error


class Document(HeadOnly):
    """Serves one document; by default JSON, which any page may read."""

    def __init__(self, body: bytes, headers: HeaderLines = JSON + b"access-control-allow-origin: *\r\n") -> None:
        self._response = Response(200, headers, body)

    def admit(self, head: RequestHead) -> Response:
        """The document."""
        return refused_method(head) or self._response


class HealthCheck(HeadOnly):
    """Tells load balancers whether this worker takes events: 200, or 503 with the reason."""

    def __init__(self, reason: Callable[[], str | None], explanations: Mapping[str, str]) -> None:
        """`reason` returns the code of why it does not, or None; `explanations` has a sentence for each code."""
        self._reason = reason
        self._ready = Response(200, JSON, b'{"status":"ready"}')
        self._not_ready = {code: Response(503, JSON, _not_ready(code, text)) for code, text in explanations.items()}

    def admit(self, head: RequestHead) -> Response:
        """The state at this moment."""
        if refusal := refused_method(head):
            return refusal
        reason = self._reason()
        return self._ready if reason is None else self._not_ready[reason]


def _not_ready(code: str, text: str) -> bytes:
    return msgspec.json.encode({"status": "not ready", "reason": code, "message": text})


class RefusesAll(HeadOnly):
    """Refuses every request."""

    def __init__(self, refusal: Refusal, headers: HeaderLines = b"") -> None:
        """`headers` are added to those of JSON."""
        self._response = json_response(refusal, headers)

    def admit(self, _head: RequestHead) -> Response:
        """The refusal."""
        return self._response
