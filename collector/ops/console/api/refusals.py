"""Refusals of the admin address: one table from codes to HTTP statuses, and the response `{"code", "message"}`.

Endpoints `raise refused(CODE, MESSAGE)`. The codes are stable; docs/reference/admin-address.md has them.
"""

from typing import Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from collector.errors import Refusal, Rejected

CONSOLE_STATUS: Final[dict[str, int]] = {
    "bad_parameter": 400,
    "bad_body": 400,
    "bad_id": 400,
    "redacted": 400,
    "unauthorized": 401,
    "wrong_token": 403,
    "foreign_origin": 403,
    "actions_off": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "busy": 409,
    "gone": 410,
    "expired": 410,
    "too_large": 413,
    "unsupported_media": 415,
    "unknown_host": 421,
    "too_many_attempts": 429,
    "internal": 500,
    "unreadable": 500,
    "failed": 500,
    "unreachable": 502,
    "unavailable": 503,
    "too_much": 503,
}
"""HTTP status by the code of a refusal."""
_CODES: Final = {404: "not_found", 405: "method_not_allowed"}
"""Codes of the refusals of Starlette itself."""


def refused(code: str, message: str, retry_seconds: int | None = None) -> Rejected:
    """An exception that the admin address answers with this refusal."""
    return Rejected.of(Refusal(code, message, retry_seconds=retry_seconds))


def json_response(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A response in JSON."""
    return Response(msgspec.json.encode(body), status, headers, "application/json")


def refusal_response(refusal: Refusal, headers: dict[str, str] | None = None) -> Response:
    """The response to a refused request."""
    added = dict(headers or {})
    if refusal.retry_seconds is not None:
        added["retry-after"] = str(refusal.retry_seconds)
    if refusal.code == "unauthorized":
        added["www-authenticate"] = "Bearer"
    body = {"code": refusal.code, "message": refusal.message}
    return json_response(body, CONSOLE_STATUS[refusal.code], added)


def _respond_to_refusal(_: Request, error: Exception) -> Response:
    assert isinstance(error, Rejected)  # noqa: S101  as it is registered below
    return refusal_response(error.refusal)


def _respond_to_no_route(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    code = _CODES[error.status_code]
    allowed = (error.headers or {}).get("Allow")
    message = f"expected {allowed}" if allowed else "no such path"
    return refusal_response(Refusal(code, message), {"allow": allowed} if allowed else None)


def _respond_to_bug(_: Request, _error: Exception) -> Response:
    return refusal_response(Refusal("internal", "a bug of the collector; the process log has its traceback"))


EXCEPTION_HANDLERS: Final = {
    Rejected: _respond_to_refusal,
    HTTPException: _respond_to_no_route,
    Exception: _respond_to_bug,
}
"""For Starlette."""
