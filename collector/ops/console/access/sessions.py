"""Sessions of people who logged in: a signed cookie each, so that they survive a restart of the admin process.

    EXPIRES_MS.ID.SIGNATURE     13 decimal digits, 16 and 64 hexadecimal ones

The key follows from the admin token, so that a new token ends all sessions.
"""

import re
import secrets
from collections.abc import Callable, Iterator
from hashlib import blake2b, scrypt
from hmac import compare_digest
from typing import Final, NamedTuple

SESSION_SECONDS: Final = 12 * 3600
_VALUE: Final = re.compile(r"([0-9]{13})\.([0-9a-f]{16})\.([0-9a-f]{64})")
_ID_BYTES: Final = 8
_MOST_COOKIES: Final = 100
_MOST_ENDED: Final = 1000
"""The oldest one is forgotten first. Each needed a log-in."""


class AdminSession(NamedTuple):
    """A session. The id is for the process log, and is no secret."""

    id: str
    expires_ms: int


class AdminSessions:
    """Makes and checks the cookies of sessions."""

    def __init__(self, token: bytes, now_ms: Callable[[], int]) -> None:
        """`now_ms` gives Unix milliseconds. Takes 50 ms: else who has a cookie could guess the token by trying."""
        self._key = scrypt(token, salt=b"tracklog admin session", n=1 << 14, r=8, p=1, dklen=32)
        self._now_ms = now_ms
        self._ended: dict[str, None] = {}
        """Ids of sessions that were logged out; until a restart of this process."""

    def begin(self) -> tuple[AdminSession, str]:
        """A new session and the value of its cookie."""
        session = AdminSession(secrets.token_hex(_ID_BYTES), self._now_ms() + SESSION_SECONDS * 1000)
        return session, f"{session.expires_ms}.{session.id}.{self._signature(session)}"

    def find(self, cookies: str, name: str) -> AdminSession | None:
        """The session that one of the cookies of this name holds.

        There may be several: a page on another port of this host can set cookies, and they shall not lock anybody out.
        """
        found = (self._session_in(value) for value in _values(cookies, name))
        return next(filter(None, found), None)

    def end(self, session: AdminSession) -> None:
        """Log out: the cookie is no longer taken."""
        if len(self._ended) >= _MOST_ENDED:
            del self._ended[next(iter(self._ended))]
        self._ended[session.id] = None

    def lasts(self, session: AdminSession) -> bool:
        """Whether a session is neither over nor logged out."""
        left_ms = session.expires_ms - self._now_ms()
        return 0 < left_ms <= SESSION_SECONDS * 1000 and session.id not in self._ended

    def _session_in(self, value: str) -> AdminSession | None:
        match = _VALUE.fullmatch(value)
        if match is None:
            return None
        session = AdminSession(match[2], int(match[1]))
        is_genuine = compare_digest(match[3], self._signature(session))
        return session if is_genuine and self.lasts(session) else None

    def _signature(self, session: AdminSession) -> str:
        return blake2b(f"{session.expires_ms}.{session.id}".encode(), key=self._key, digest_size=32).hexdigest()


def _values(cookies: str, name: str) -> Iterator[str]:
    for cookie in cookies.split(";", _MOST_COOKIES)[:_MOST_COOKIES]:
        key, _, value = cookie.strip().partition("=")
        if key == name:
            yield value
