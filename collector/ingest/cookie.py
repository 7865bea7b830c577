"""The cookie that carries the session token, pure: who gets it, and whose is read."""

from typing import Final

from collector.ingest.answer import Headers
from collector.registry import Property

_NAME: Final = b"an_session"
_SECONDS: Final = 365 * 86_400


def has_cookies(prop: Property, headers: dict[bytes, bytes], *, is_s2s: bool) -> bool:
    """Whether a visitor of this property is known by a cookie: not where the browser says not to track."""
    if not prop.has_cookies or is_s2s:
        return False
    gpc, dnt = headers.get(b"sec-gpc"), headers.get(b"dnt")
    return (gpc is None or gpc.strip() != b"1") and (dnt is None or dnt.strip() != b"1")


def token_in(cookies: bytes) -> bytes:
    """The token in a `cookie` header; empty if there is none."""
    for pair in cookies.split(b";"):
        name, _, value = pair.partition(b"=")
        if name.strip() == _NAME:
            return value.strip()
    return b""


def set_cookie(token: bytes, *, is_https: bool) -> Headers:
    """The header that has a browser keep the token; only over HTTPS may it be sent to pages of other sites."""
    site = b"SameSite=None; Secure" if is_https else b"SameSite=Lax"
    return b"set-cookie: %b=%b; Path=/; Max-Age=%d; HttpOnly; %b\r\n" % (_NAME, token, _SECONDS, site)
