"""The pages that may send to a property and read its responses, pure."""

import re
from collections.abc import Iterable
from typing import Final

from collector.errors import Forbidden
from collector.http.response import HeaderLines
from collector.ingest.options import ResponseType
from collector.ingest.policy.properties import Property

_ANY: Final = b"*"
_VARY: Final[HeaderLines] = b"vary: origin\r\n"
_EXPOSED: Final[HeaderLines] = (
    b"access-control-expose-headers: x-event-ack, x-event-duplicate, x-event-id, retry-after\r\n"
)
_FOR_ANY: Final[HeaderLines] = b"access-control-allow-origin: *\r\n" + _EXPOSED
_PREFLIGHT: Final[HeaderLines] = (
    b"access-control-allow-methods: GET, HEAD, POST\r\n"
    b"access-control-allow-headers: anonymousid, authorization, content-encoding, content-type, idempotency-key, "
    b"rsa-retry-attempt, rsa-retry-reason, rsa-since-first-attempt, rsa-since-last-attempt, sentat, sp-anonymous, "
    b"x-retry-count, x-write-key\r\n"
    b"access-control-max-age: 86400\r\n"
)
_PAGE: Final = re.compile(rb"([a-z][a-z0-9+.-]*://[^/?#@\\\s]+)(?:[/?#]|\Z)")
_FETCH_SITE: Final = b"sec-fetch-site"
_SAME_SITE: Final = frozenset((b"same-origin", b"same-site", b"none"))
"""`none`: the person used the address bar or a bookmark, so that no page is involved."""
_UNKNOWN: Final = b"null"


def check_origin(prop: Property, headers: dict[bytes, bytes], response_type: ResponseType) -> None:
    """Raise Forbidden if the property lists origins and the request comes from another one."""
    if prop.origins:
        origin = headers.get(b"origin")
        if origin is None and _FETCH_SITE in headers:
            origin = sending_origin(headers, response_type)
        if origin is not None and origin not in prop.origins and _ANY not in prop.origins:
            raise Forbidden("this origin may not send to this property")


def sending_origin(headers: dict[bytes, bytes], response_type: ResponseType) -> bytes | None:
    """The origin of the page that sent a request, as far as the browser names one.

    A browser sends no `Origin` with a script, an image or an iframe. If `Sec-Fetch-Site` names another site, the page
    is the `Referer`; without one the origin is `null`, which no property lists. None: the request has none of these
    headers, or it is a click, which may come from a foreign page, because no page reads its response.
    """
    origin = headers.get(b"origin")
    if origin is not None or headers.get(_FETCH_SITE) != b"cross-site":
        return origin
    return None if response_type is ResponseType.REDIRECT and _fills_a_tab(headers) else _referring_origin(headers)


def may_read(prop: Property, headers: dict[bytes, bytes]) -> bool:
    """Whether a response that the page can read may contain the ids of the visitor's cookie.

    Pages of the collector's own site may read them, and pages of an origin that the property lists by name. So may
    clients without fetch metadata: old browsers and programs can't be distinguished.
    """
    site = headers.get(_FETCH_SITE)
    if site is None:  # three look-ups cost a third of a set operation
        if b"sec-fetch-mode" not in headers and b"sec-fetch-dest" not in headers and b"sec-fetch-user" not in headers:
            return True
    elif site in _SAME_SITE:
        return True
    origin = headers.get(b"origin") or _referring_origin(headers)
    return origin != _ANY and origin in prop.origins


def cors_headers(prop: Property | None, origin: bytes | None, *, is_s2s: bool) -> HeaderLines:
    """The headers that let a page of `origin` read the response. Without a property, any page may read it."""
    if is_s2s or (origin is None and (prop is None or not prop.origins)):
        return b""
    if prop is None or not prop.origins:
        return _FOR_ANY
    if origin is not None and origin in prop.origins:
        return _allowed(origin)
    return _FOR_ANY + _VARY if origin is not None and _ANY in prop.origins else _VARY


def preflight_headers(prop: Property, origin: bytes | None) -> HeaderLines:
    """The headers for `OPTIONS`: the methods and headers that a page of `origin` may send, valid for a day."""
    return cors_headers(prop, origin, is_s2s=False) + (_PREFLIGHT if origin is not None else b"")


class KnownOrigins:
    """The origins of all properties that a preflight may be for, since it does not say for which one it is."""

    def __init__(self, properties: Iterable[Property]) -> None:
        lists = [prop.origins for prop in properties]
        self._listed = frozenset(origin for origins in lists for origin in origins)
        self._is_any_allowed = _ANY in self._listed or not all(lists)

    def preflight_headers(self, origin: bytes | None) -> HeaderLines:
        """The headers for a preflight from a page of `origin`. The request that follows is checked by its property."""
        return self.cors_headers(origin) + (_PREFLIGHT if origin is not None else b"")

    def cors_headers(self, origin: bytes | None) -> HeaderLines:
        """The headers that let a page of `origin` read a response, where its property is not known."""
        if origin is None:
            return b""
        if origin in self._listed:
            return _allowed(origin)
        allowed = b"access-control-allow-origin: %b\r\n" % origin if self._is_any_allowed else b""
        return allowed + _VARY + _EXPOSED


def _allowed(origin: bytes) -> HeaderLines:
    allowed = b"access-control-allow-origin: %b\r\naccess-control-allow-credentials: true\r\n" % origin
    return allowed + _VARY + _EXPOSED


def _fills_a_tab(headers: dict[bytes, bytes]) -> bool:
    return headers.get(b"sec-fetch-mode") == b"navigate" and headers.get(b"sec-fetch-dest") == b"document"


def _referring_origin(headers: dict[bytes, bytes]) -> bytes:
    page = _PAGE.match(headers.get(b"referer", b""))
    return page[1] if page else _UNKNOWN
