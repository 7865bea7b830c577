"""`/api/session`: the facts that the page needs before a log-in, the log-in, and the log-out."""

import socket
from typing import Annotated, Any, Final

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.ops.console.access.access import Access
from collector.ops.console.access.guard import address_of, caller_of, cookie_of
from collector.ops.console.access.sessions import SESSION_SECONDS
from collector.ops.console.api.bodies import read_body
from collector.ops.console.api.refusals import json_response
from collector.settings import AdminSettings
from wal import __version__

PATH: Final = "/api/session"
_MOST_BYTES: Final = 4096
_LONGEST_TOKEN: Final = 1024


class LogIn(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a log-in."""

    token: Annotated[str, Meta(max_length=_LONGEST_TOKEN)]


class SessionEndpoint:
    """Serves PATH, which needs no log-in."""

    def __init__(self, admin: AdminSettings, access: Access) -> None:
        self._admin = admin
        self._access = access

    def route(self) -> Route:
        """The route for all methods."""
        return Route(PATH, self._serve, methods=["GET", "POST", "DELETE"])

    async def _serve(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._log_in(request)
        return self._log_out(request) if request.method == "DELETE" else self._show(request)

    def _show(self, request: Request) -> Response:
        """Whether this request needs a log-in first, and what the page may show and do. Always 200."""
        caller = caller_of(request)
        has_session = caller is not None and caller.session is not None
        return json_response(_state(self._admin, needs_token=caller is None, logged_in=has_session))

    async def _log_in(self, request: Request) -> Response:
        body = await read_body(request, LogIn, _MOST_BYTES)
        value = self._access.log_in(body.token, address_of(request.scope))
        headers = _cookie(request, value, SESSION_SECONDS)
        return json_response(_state(self._admin, needs_token=False, logged_in=True), headers=headers)

    def _log_out(self, request: Request) -> Response:
        caller = caller_of(request)
        if caller and caller.session:
            self._access.log_out(caller.session)
        return Response(None, 204, _cookie(request, "", 0))


def about_node(admin: AdminSettings) -> dict[str, object]:
    """The members about the node for a caller who may look."""
    return {
        "actions": admin.allow_actions,
        "redacted": admin.redact,
        "node": socket.gethostname(),
        "version": __version__,
    }


def _state(admin: AdminSettings, *, needs_token: bool, logged_in: bool) -> dict[str, Any]:
    """The same members for everybody, but a stranger learns nothing about the node."""
    about = {"actions": False, "redacted": (), "node": "", "version": ""} if needs_token else about_node(admin)
    return {"needs_token": needs_token, "logged_in": logged_in, **about}


def _cookie(request: Request, value: str, seconds: int) -> dict[str, str]:
    """The header that sets the cookie. The page's origin tells whether a proxy in front serves it over TLS."""
    is_secure = request.headers.get("origin", "").startswith("https://")
    flags = f"Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{'; Secure' if is_secure else ''}"
    return {"set-cookie": f"{cookie_of(request.scope)}={value}; {flags}"}
