"""The write keys of Segment's family, pure: `ID`, or `ID:SECRET`."""

from base64 import b64decode
from typing import Final

from collector.http.request import RequestHead
from collector.ingest.dialects.dialect import NO_CREDENTIALS, Credentials
from collector.ingest.query import parse_pairs

_BASIC: Final = b"basic "
_BEARER: Final = b"bearer "
_LONGEST_ID: Final = 64
"""Characters of a property's id."""


def credentials_of(write_key: str) -> Credentials:
    """The credentials in a write key."""
    return Credentials.of(write_key.strip())


def credentials_in(head: RequestHead) -> Credentials:
    """The credentials in a head: Basic, else the query's `writeKey`, else `x-write-key`, else Bearer."""
    authorization = head.fields.get(b"authorization", b"")
    if found := _basic(authorization):
        return found
    if head.query and (write_key := parse_pairs(head.query).values.get("writeKey")):
        return credentials_of(write_key)
    if write_key := head.fields.get(b"x-write-key", b"").decode("latin-1"):
        return credentials_of(write_key)
    return _bearer(authorization)


def _basic(authorization: bytes) -> Credentials | None:
    """The user and the password of Basic. SDKs send their write key as the user: `ID:SECRET` and a colon."""
    if authorization[: len(_BASIC)].lower() != _BASIC:
        return None
    try:
        text = b64decode(authorization[len(_BASIC) :].strip(), validate=True).decode()
    except ValueError:  # also UnicodeDecodeError
        return None
    found = credentials_of(text.removesuffix(":"))
    return found if found.property_id else None


def _bearer(authorization: bytes) -> Credentials:
    """A write key as a token. A token that is too long for one is that of OAuth, and the body has the write key."""
    if authorization[: len(_BEARER)].lower() != _BEARER:
        return NO_CREDENTIALS
    found = credentials_of(authorization[len(_BEARER) :].decode("latin-1"))
    return found if len(found.property_id) <= _LONGEST_ID else NO_CREDENTIALS
