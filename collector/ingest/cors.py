"""Which pages may send to a property and read its answers, pure."""

from typing import Final

from collector.errors import Forbidden
from collector.ingest.answer import Headers
from collector.registry import Property

_ANY: Final = b"*"
_VARY: Final[Headers] = b"vary: origin\r\n"
_EXPOSED: Final[Headers] = b"access-control-expose-headers: x-event-ack, x-event-id, retry-after\r\n"
_FOR_ANY: Final[Headers] = b"access-control-allow-origin: *\r\n" + _EXPOSED
_PREFLIGHT: Final[Headers] = (
    b"access-control-allow-methods: GET, HEAD, POST\r\n"
    b"access-control-allow-headers: authorization, content-encoding, content-type, x-write-key\r\n"
    b"access-control-max-age: 86400\r\n"
)


def check_origin(prop: Property, origin: bytes | None) -> None:
    """Raise Forbidden where the property lists origins and the request comes from another one."""
    if origin is not None and prop.origins and origin not in prop.origins and _ANY not in prop.origins:
        raise Forbidden("this origin may not send to this property")


def cors_headers(prop: Property | None, origin: bytes | None, *, is_s2s: bool) -> Headers:
    """What lets a page of `origin` read an answer. Without a property the answer is the same for all pages."""
    if is_s2s or (origin is None and (prop is None or not prop.origins)):
        return b""
    if prop is None or not prop.origins:
        return _FOR_ANY
    if origin is not None and origin in prop.origins:
        allowed = b"access-control-allow-origin: %b\r\naccess-control-allow-credentials: true\r\n" % origin
        return allowed + _VARY + _EXPOSED
    return _FOR_ANY + _VARY if origin is not None and _ANY in prop.origins else _VARY


def preflight_headers(prop: Property, origin: bytes | None) -> Headers:
    """The answer to `OPTIONS`: what a page of `origin` may send, for a day."""
    return cors_headers(prop, origin, is_s2s=False) + (_PREFLIGHT if origin is not None else b"")
