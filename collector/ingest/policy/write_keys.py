"""The keys that a request must show. Only digests of them are kept and compared."""

from hashlib import blake2b
from hmac import compare_digest
from typing import Final

from collector.settings.environment import read_key

_BEARER: Final = b"bearer "


def is_key(key: bytes, digests: tuple[bytes, ...]) -> bool:
    """Whether a write key is one of those with these digests, in a time that tells nothing of them."""
    digest = blake2b(key).digest()
    return any([compare_digest(digest, each) for each in digests])  # noqa: C419 - a list, so that all are compared


def key_in(headers: dict[bytes, bytes]) -> bytes:
    """The write key that a request shows, or none."""
    authorization = headers.get(b"authorization", b"")
    if authorization[: len(_BEARER)].lower() == _BEARER:
        return authorization[len(_BEARER) :].strip()
    return headers.get(b"x-write-key", b"").strip()


def key_digest(where: str, setting: str) -> bytes:
    """What `is_key` compares, of a key that `env:NAME` names. Raises BadSettings."""
    return blake2b(read_key(where, setting)).digest()
