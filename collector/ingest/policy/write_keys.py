"""The write keys that a request must present. Only their digests are kept and compared."""

from hashlib import blake2b
from hmac import compare_digest
from typing import Final

from collector.settings.environment import read_header_key

_BEARER: Final = b"bearer "


def is_key(key: bytes, digests: tuple[bytes, ...]) -> bool:
    """Whether a write key has one of these digests, in a time that reveals nothing about them."""
    digest = blake2b(key).digest()
    return any([compare_digest(digest, known) for known in digests])  # noqa: C419 - a list, so that all are compared


def key_in(headers: dict[bytes, bytes]) -> bytes:
    """The write key in a request; b"" if there is none."""
    authorization = headers.get(b"authorization", b"")
    if authorization[: len(_BEARER)].lower() == _BEARER:
        return authorization[len(_BEARER) :].strip()
    return headers.get(b"x-write-key", b"").strip()


def key_digest(place: str, setting: str) -> bytes:
    """The digest, for `is_key`, of the key that `env:NAME` names. `place` is for errors. Raises BadSettings."""
    return blake2b(read_header_key(place, setting)).digest()
