"""What every request to the admin address passes: its host, its origin, its sender; and the headers of every response.

    Host is not this node ──> 421
    a foreign page's request ──> 403     to /api, or with a method that has effects
    nobody known ──> 401 or 429          but for the page itself and the log-in

Probes of health pass unchecked.
"""

from collections.abc import Sequence
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from collector.errors import Rejected
from collector.ops.console.access.access import Access, Caller
from collector.ops.console.access.hosts import is_own_host
from collector.ops.console.access.provenance import Provenance, provenance
from collector.ops.console.api.refusals import refusal_response, refused
from collector.process_log.of_console import HostRefused

HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
        "trusted-types 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",  # the page's address holds filters, and those ids of people
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""The headers of every response that does not set them itself."""
UNCHECKED_PATHS: Final = ("/livez", "/readyz")
"""Probes name any host and have no token. The answer tells little."""
_SAFE_METHODS: Final = ("GET", "HEAD")
_CALLER: Final = "tracklog.caller"
_LONGEST_HOST: Final = 100


class Guard:
    """Wraps the application, so that a request reaches an endpoint only if it may."""

    def __init__(self, app: ASGIApp, access: Access, hosts: Sequence[str], open_routes: Sequence[Route]) -> None:
        """`open_routes` need no log-in; all other paths do, also those that do not exist."""
        self._app = app
        self._access = access
        self._hosts = frozenset(hosts)
        self._open_routes = open_routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        send = _with_headers(send)
        try:
            if scope["path"] not in UNCHECKED_PATHS:
                self._check_host(scope)
                scope[_CALLER] = self._caller(scope)
        except Rejected as error:
            await refusal_response(error.refusal)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _check_host(self, scope: Scope) -> None:
        hosts = Headers(scope=scope).getlist("host")
        if not is_own_host(hosts, self._hosts):
            named = ", ".join(hosts)[:_LONGEST_HOST]
            self._access.note(HostRefused, named)
            raise refused(
                "unknown_host",
                f"this node is not known as {named!r}: use its IP address, or add the name to admin.hosts",
            )

    def _caller(self, scope: Scope) -> Caller | None:
        """The sender. Raises Rejected if the request is of a foreign page, or needs a log-in."""
        headers, is_safe = Headers(scope=scope), scope["method"] in _SAFE_METHODS
        page = provenance(headers)
        if page is Provenance.FOREIGN and (not is_safe or _is_of_api(scope["path"])):
            raise refused("foreign_origin", "only the console's own page, or a program, may send this request")
        counts_cookie = is_safe or page is Provenance.OWN
        try:
            return self._access.caller(headers, address_of(scope), cookie_of(scope) if counts_cookie else None)
        except Rejected:
            if any(route.matches(scope)[0] is not Match.NONE for route in self._open_routes):
                return None
            raise


def caller_of(request: Request) -> Caller | None:
    """The sender of a request; None if nobody is logged in, which only open routes see."""
    caller: Caller | None = request.scope[_CALLER]
    return caller


def is_let_in(access: Access, scope: Scope) -> bool:
    """Whether the sender of a request that was let in would be so now."""
    caller: Caller | None = scope[_CALLER]
    return caller is not None and access.lasts(caller)


def address_of(scope: Scope) -> str:
    """The sender's address."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def cookie_of(scope: Scope) -> str:
    """The name of the cookie of sessions. It holds the port, since cookies of one host are shared by all its ports."""
    server = scope.get("server")
    return f"tracklog-session-{server[1] if server else 0}"


def _is_of_api(path: str) -> bool:
    return path == "/api" or path.startswith("/api/")


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return send_with_headers
