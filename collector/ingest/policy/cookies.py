"""The cookie that carries the session token, pure: when it is set and when it is read."""

from typing import Final

from collector.http.response import HeaderLines
from collector.ingest.options import ResponseType
from collector.ingest.policy.origins import may_read
from collector.ingest.policy.properties import Property

_NAME: Final = b"an_session_%d"
"""One name for each portal, so that two portals on one host do not overwrite each other's cookie."""
_MOST_COOKIES: Final = 256
"""More than browsers keep for one host."""
_SECONDS: Final = 365 * 86_400
_PIXEL: Final = ResponseType.PIXEL
_REDIRECT: Final = ResponseType.REDIRECT


def has_cookies(prop: Property, headers: dict[bytes, bytes], response_type: ResponseType, *, is_s2s: bool) -> bool:
    """Whether this request reads and sets the visitor's cookie.

    Not if the browser asks not to be tracked. Not if a page of a foreign site could read the response: a script tag
    there must neither learn the visitor's ids nor replace them. A pixel and a redirect reveal nothing.
    """
    if not prop.has_cookies or is_s2s:
        return False
    gpc, dnt = headers.get(b"sec-gpc"), headers.get(b"dnt")
    if (gpc is not None and gpc.strip() == b"1") or (dnt is not None and dnt.strip() == b"1"):
        return False
    return response_type is _PIXEL or response_type is _REDIRECT or may_read(prop, headers)


def token_in(cookies: bytes, portal_id: int) -> bytes:
    """The token of a portal in a `cookie` header; empty if there is none."""
    cookie_name = _NAME % portal_id
    for pair in cookies.split(b";", _MOST_COOKIES):
        name, _, value = pair.partition(b"=")
        if name.strip() == cookie_name:
            return value.strip()
    return b""


def set_cookie(token: bytes, portal_id: int, *, is_https: bool) -> HeaderLines:
    """The header that stores the token in the browser. Only over HTTPS may pages of other sites send the cookie."""
    site = b"SameSite=None; Secure" if is_https else b"SameSite=Lax"
    return b"set-cookie: an_session_%d=%b; Path=/; Max-Age=%d; HttpOnly; %b\r\n" % (portal_id, token, _SECONDS, site)
