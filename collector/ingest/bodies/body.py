"""The media type of a body, and its inflation, pure."""

from collections.abc import Generator
from typing import Final

from collector.errors import UnsupportedMedia
from collector.http.inflate import inflate
from collector.long_work import joined
from collector.settings import Limits

NDJSON: Final = b"application/x-ndjson"
FORM: Final = b"application/x-www-form-urlencoded"
_JSON: Final = b"application/json"
_SUPPORTED: Final = frozenset((_JSON, b"text/plain", b"", NDJSON, FORM))
"""`sendBeacon` sends text/plain, and some clients send no type at all."""


def media_of(fields: dict[bytes, bytes]) -> bytes:
    """The content type without its parameters, and JSON's for `application/*+json`.

    Raises UnsupportedMedia.
    """
    kind = fields.get(b"content-type", b"")
    if kind in _SUPPORTED:
        return kind
    kind = kind.partition(b";")[0].strip().lower()
    if kind in _SUPPORTED:
        return kind
    if kind.startswith(b"application/") and kind.endswith(b"+json"):
        return _JSON
    raise UnsupportedMedia(
        "expected content-type application/json, text/plain, application/x-ndjson or application/x-www-form-urlencoded"
    )


def is_json(form: bytes) -> bool:
    """Whether the body of a form is JSON: clients that set no content type send their library's default, the form's."""
    return form[:1] in (b"{", b"[")


def inflated(body: bytes, encoding: bytes, limits: Limits) -> Generator[None, None, bytes]:
    """The body without its content encoding; yields when other requests may run.

    Raises UnsupportedMedia, TooLarge and BadEvent.
    """
    return (yield from joined(inflate(body, encoding, limits.body_bytes, limits.inflation_ratio), None))
