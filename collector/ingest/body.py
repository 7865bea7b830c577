"""What a request says of its body, pure: whether there is one, and of which kind."""

from typing import Final

from collector.errors import UnsupportedMedia

NDJSON: Final = b"application/x-ndjson"
FORM: Final = b"application/x-www-form-urlencoded"
_JSON: Final = b"application/json"
_READ: Final = frozenset((_JSON, b"text/plain", b"", NDJSON, FORM))
"""`sendBeacon` sends text/plain, and careless clients send no type at all."""


def media_of(fields: dict[bytes, bytes]) -> bytes:
    """The content type without its parameters; of `application/*+json` that of JSON.

    Raises UnsupportedMedia for one that is not read.
    """
    kind = fields.get(b"content-type", b"")
    if kind in _READ:
        return kind
    kind = kind.partition(b";")[0].strip().lower()
    if kind in _READ:
        return kind
    if kind.startswith(b"application/") and kind.endswith(b"+json"):
        return _JSON
    raise UnsupportedMedia(
        "expected content-type application/json, text/plain, application/x-ndjson or application/x-www-form-urlencoded"
    )


def is_json(form: bytes) -> bool:
    """Whether a form is JSON after all: clients that set no content type send it under that of their library."""
    return form[:1] in (b"{", b"[")
