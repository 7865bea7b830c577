"""Who may use the admin address: anybody where it has no token, else holders of the token or of a session."""

import time
from collections.abc import Callable
from hashlib import blake2b
from hmac import compare_digest
from typing import Final, NamedTuple

from starlette.datastructures import Headers

from collector.errors import Refusal, Rejected
from collector.ops.console.access.sessions import AdminSession, AdminSessions
from collector.ops.console.access.wrong_tokens import WrongTokens, sender_of
from collector.ops.console.api.refusals import refused
from collector.ops.notices import Notices
from collector.process_log.of_console import LoggedIn, LogInRefused, TokenRefused
from collector.process_log.of_requests import Repeated

_BEARER: Final = "bearer "
_MOST_WRONG: Final = 5
"""A minute and address, of log-ins and of `authorization` together: one of them must not be a way around the other."""
_UNAUTHORIZED: Final = Refusal(
    "unauthorized", "log in to the console, or send the token of admin.token as authorization: Bearer TOKEN"
)


class Caller(NamedTuple):
    """The sender of a request: authenticated, or anybody where no token is set."""

    name: str
    """For the process log."""
    session: AdminSession | None = None


class Access:
    """Knows the token, the sessions and the wrong tokens of late."""

    def __init__(self, token: bytes | None, now_ms: Callable[[], int]) -> None:
        """`now_ms` gives Unix milliseconds."""
        self._digest = blake2b(token).digest() if token else b""
        self._sessions = AdminSessions(token, now_ms) if token else None
        self._now_ms = now_ms
        self._wrong = WrongTokens(_MOST_WRONG)
        self._notices = Notices()

    def caller(self, headers: Headers, address: str, cookie: str | None) -> Caller:
        """The sender of a request. Raises Rejected for one that must log in, has a wrong token, or had too many.

        `cookie` is the name of the cookie to look at, None if it does not count.
        """
        if self._sessions is None:
            return Caller("anybody on loopback")
        if authorization := headers.get("authorization"):
            self._check_bearer(authorization, address)
            return Caller("a holder of the token")
        if cookie and (session := self._sessions.find(headers.get("cookie", ""), cookie)):
            return Caller(f"session {session.id}", session)
        raise Rejected.of(_UNAUTHORIZED)

    def log_in(self, token: str, address: str) -> str:
        """The value of the cookie of a new session. Raises Rejected for a wrong token, and after too many of them."""
        if self._sessions is None:
            raise refused("not_found", "this address needs no log-in: admin.token is not set")
        if not self._is_token(token.encode(errors="surrogatepass"), address, LogInRefused):
            raise refused("wrong_token", "this is not the token of admin.token")
        session, value = self._sessions.begin()
        LoggedIn(sender_of(address), session.id).write()
        return value

    def log_out(self, session: AdminSession) -> None:
        """End a session."""
        if self._sessions:
            self._sessions.end(session)

    def lasts(self, caller: Caller) -> bool:
        """Whether a caller would be let in once more. Others than sessions would: a new token is a new process."""
        return self._sessions is None or caller.session is None or self._sessions.lasts(caller.session)

    def note(self, fact: type[Repeated], key: str) -> None:
        """Count mistakes that clients can repeat, and write the lines that are due."""
        self._notices.count(fact, key)
        for event in self._notices.due(time.monotonic()):
            event.write()

    def _check_bearer(self, authorization: str, address: str) -> None:
        is_bearer = authorization[: len(_BEARER)].lower() == _BEARER
        presented = authorization[len(_BEARER) :].strip().encode("latin-1") if is_bearer else b""
        if not self._is_token(presented, address, TokenRefused):
            raise Rejected.of(_UNAUTHORIZED)

    def _is_token(self, presented: bytes, address: str, fact: type[Repeated]) -> bool:
        """Compare digests, in a time that reveals nothing about the token. Raises Rejected after too many."""
        if wait := self._wrong.wait_seconds(address, self._now_ms()):
            self.note(fact, sender_of(address))
            raise refused("too_many_attempts", f"too many wrong tokens; retry after {wait} s", wait)
        digest = blake2b(presented).digest()
        if compare_digest(digest, self._digest):
            return True
        self._wrong.add(address, digest, self._now_ms())
        self.note(fact, sender_of(address))
        return False
